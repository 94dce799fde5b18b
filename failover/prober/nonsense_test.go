// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"testing"
	"time"

	"github.com/redisha/redisha/redisclient"
)

func TestAPodThatTalksNonsenseForLongIsAskedSeldom(t *testing.T) {
	var n nonsense
	now := start
	say := func(d time.Duration, classes ...redisclient.Class) {
		for i, end := 0, now.Add(d); now.Before(end); i++ {
			n.note(classes[i%len(classes)], now)
			now = now.Add(DefaultPeriod)
		}
	}
	say(time.Minute, redisclient.ClassNone, redisclient.ClassTimeout, redisclient.ClassRefused, redisclient.ClassBusy, redisclient.ClassMaxClients, redisclient.ClassLoading)
	if n.lasts(now) {
		t.Error("what a Redis in trouble answers is no nonsense")
	}
	say(3*time.Second, redisclient.ClassOther)
	if n.lasts(now) {
		t.Error("a trouble of three seconds is no reason to ask seldom")
	}
	say(nonsenseAfter, redisclient.ClassNone, redisclient.ClassOther, redisclient.ClassServer)
	if !n.lasts(now) {
		t.Error("an answer that makes sense now and then is no reason to ask often")
	}
	say(nonsenseOver+time.Second, redisclient.ClassNone)
	if n.lasts(now) {
		t.Error("it makes sense again, and is asked seldom still")
	}
}
