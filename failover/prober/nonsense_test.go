// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"fmt"
	"testing"
	"time"

	"github.com/redisha/redisha/redisclient"
)

// conversation is what a pod says, in a time of its own.
type conversation struct {
	nonsense

	now time.Time
}

// goesOn lets the pod be asked for so long, as often as it is. answer is told how often it was asked before. It returns
// how often it was.
func (c *conversation) goesOn(d time.Duration, answer func(i int) outcome) (asked int) {
	for end := c.now.Add(d); c.now.Before(end); asked++ {
		o := answer(asked)
		o.ended = c.now
		c.note(o)
		c.now = c.now.Add(max(c.pause(c.now), DefaultPeriod))
	}
	return asked
}

func (c *conversation) isAskedSeldom() bool { return c.pause(c.now) > 0 }

// says answers as one process, with these classes in turn.
func says(classes ...redisclient.Class) func(int) outcome {
	return func(i int) outcome {
		return outcome{class: classes[i%len(classes)], info: redisclient.Info{RunID: "a"}}
	}
}

// renamed answers as another process every so many times.
func renamed(every int) func(int) outcome {
	return func(i int) outcome { return outcome{info: redisclient.Info{RunID: fmt.Sprint("process ", i/every)}} }
}

func TestAPodThatTalksNonsenseForLongIsAskedSeldom(t *testing.T) {
	c := conversation{now: start}
	c.goesOn(
		time.Minute,
		says(
			redisclient.ClassNone, redisclient.ClassTimeout, redisclient.ClassRefused, redisclient.ClassBusy,
			redisclient.ClassMaxClients, redisclient.ClassLoading,
		),
	)
	if c.isAskedSeldom() {
		t.Error("what a Redis in trouble answers is no nonsense")
	}
	c.goesOn(3*time.Second, says(redisclient.ClassOther))
	if c.isAskedSeldom() {
		t.Error("a trouble of three seconds is no reason to ask seldom")
	}
	c.goesOn(nonsenseAfter, says(redisclient.ClassNone, redisclient.ClassOther, redisclient.ClassServer))
	if !c.isAskedSeldom() {
		t.Error("an answer that makes sense now and then is no reason to ask often")
	}
	c.goesOn(nonsenseOver+2*nonsensePause, says(redisclient.ClassNone))
	if c.isAskedSeldom() {
		t.Error("it makes sense again, and is asked seldom still")
	}
}

func TestAPodThatIsAnotherProcessEachTimeIsAskedSeldom(t *testing.T) {
	c := conversation{now: start}
	c.goesOn(2*nonsenseAfter, renamed(1))
	if !c.isAskedSeldom() {
		t.Error("what it says is good for no decision, and asked for five times a second")
	}
	c.goesOn(nonsenseOver+2*nonsensePause, says(redisclient.ClassNone))
	if c.isAskedSeldom() {
		t.Error("it is one process by now, and is asked seldom still")
	}
}

func TestARedisThatIsKilledAgainAndAgainIsAskedAsOftenAsAny(t *testing.T) {
	c := conversation{now: start}
	every := int((nonsenseOver + time.Second) / DefaultPeriod)
	c.goesOn(5*time.Minute, renamed(every))
	if c.isAskedSeldom() {
		t.Error("a Redis that lived for six seconds each time is taken for nonsense")
	}
	c = conversation{now: start}
	c.goesOn(nonsenseAfter-time.Second, renamed(5))
	if c.isAskedSeldom() {
		t.Error("nine kills in a row are taken for nonsense")
	}
}

func TestNonsenseThatGoesOnIsAskedMoreAndMoreSeldom(t *testing.T) {
	for name, answer := range map[string]func(int) outcome{"garbage": says(redisclient.ClassServer), "another process": renamed(1)} {
		c := conversation{now: start}
		c.goesOn(5*time.Minute, answer)
		if asked := c.goesOn(time.Minute, answer); asked > int(time.Minute/nonsenseSlowest)+1 {
			t.Errorf("%s: asked %d times in the sixth minute", name, asked)
		}
		c.goesOn(nonsenseOver+2*nonsenseSlowest, says(redisclient.ClassNone))
		if c.isAskedSeldom() {
			t.Errorf("%s: it makes sense again, and is asked seldom still", name)
		}
	}
}
