// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/podstate"
)

// This file finds out why a pod does not come up or stay up, and says so in words that stay the same for as long as the
// cause does: a count of restarts or a back-off that grows would be written to the status each time.

// trouble is a cause that keeps a pod from running: a reason of Progressing and a sentence. The zero value is none.
type trouble = podProgress

// tellTrouble has the condition Progressing name what the pods that are waited for suffer from. The cause takes the
// place of the reason, but where a person or the failover controller is waited for as well.
func (w *pass) tellTrouble(ctx context.Context) error {
	if w.sts == nil || slices.Contains(
		[]string{"", v1alpha1.ReasonUpToDate, v1alpha1.ReasonHibernated}, w.progress.reason,
	) {
		w.known.absence = absence{}
		return nil
	}
	found := w.trouble(ctx)
	if found.reason == "" {
		return nil
	}
	message := found.message + "; " + w.progress.message
	if slices.Contains(
		[]string{v1alpha1.ReasonCreating, v1alpha1.ReasonWaitingForNodes, v1alpha1.ReasonScaling}, w.progress.reason,
	) {
		w.progress.reason = found.reason
	}
	w.progress.message = message
	return nil
}

// trouble is the first that a pod has, by ordinal, or that of the first pod that is not there.
func (w *pass) trouble(ctx context.Context) trouble {
	for i := range w.pods {
		pod := &w.pods[i]
		if pod.DeletionTimestamp != nil || podstate.IsReady(pod) {
			continue
		}
		found, until := podTrouble(pod, w.now())
		if found.reason != "" {
			if until > 0 {
				w.lookAgain(until)
			}
			return found
		}
	}
	return w.absence(ctx)
}

// lookAgain has the next pass begin after d, if not before.
func (w *pass) lookAgain(d time.Duration) {
	if w.again == 0 || d < w.again {
		w.again = d
	}
}

// podTrouble is what keeps a pod from running, by its own status, and after how long that may be no more true though
// nothing is reported.
func podTrouble(pod *corev1.Pod, now time.Time) (trouble, time.Duration) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Message != "" {
			return trouble{
				v1alpha1.ReasonUnschedulable,
				fmt.Sprintf("pod %s cannot be scheduled: %s", pod.Name, steady(c.Message)),
			}, 0
		}
	}
	for _, init := range []bool{true, false} {
		all := pod.Status.ContainerStatuses
		if init {
			all = pod.Status.InitContainerStatuses
		}
		for i := range all {
			if found := waitingTrouble(pod, &all[i]); found.reason != "" {
				return found, 0
			}
			if end, until := lastEnd(&all[i], init, now); end != nil {
				return endTrouble(pod, all[i].Name, end), until
			}
		}
	}
	return trouble{}, 0
}

// waitingTrouble is why a container does not begin.
func waitingTrouble(pod *corev1.Pod, c *corev1.ContainerStatus) trouble {
	waiting := c.State.Waiting
	if waiting == nil {
		return trouble{}
	}
	switch waiting.Reason {
	case "", "ContainerCreating", "PodInitializing", "CrashLoopBackOff":
		return trouble{}
	case "ErrImagePull",
		"ImagePullBackOff",
		"InvalidImageName",
		"ErrImageNeverPull",
		"ImageInspectError",
		"RegistryUnavailable",
		"SignatureValidationFailed":
		// The first two take turns, with the same cause behind words of their own.
		_, cause, found := strings.Cut(waiting.Message, "ErrImagePull: ")
		if !found {
			cause = waiting.Message
		}
		return trouble{v1alpha1.ReasonImageNotPulled,
			fmt.Sprintf("pod %s: the image %q of container %s cannot be pulled: %s", pod.Name, c.Image, c.Name, steady(cause))}
	}
	return trouble{
		v1alpha1.ReasonContainerNotStarted,
		fmt.Sprintf(
			"pod %s: container %s cannot be started: %s: %s", pod.Name, c.Name, waiting.Reason, steady(waiting.Message),
		),
	}
}

// recently is for how long a container that runs and is not ready is told by how the one before it ended. It may be the
// next turn of a crash loop; after that, something else keeps it from being ready.
const recently = time.Minute

// lastEnd is how a container ended that does not run, or runs only just again; nil when it did not.
func lastEnd(c *corev1.ContainerStatus, init bool, now time.Time) (*corev1.ContainerStateTerminated, time.Duration) {
	last := c.LastTerminationState.Terminated
	switch {
	case c.State.Terminated != nil && (!init || c.State.Terminated.ExitCode != 0):
		return c.State.Terminated, 0
	case c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff":
		return last, 0
	case c.State.Running == nil || c.Ready || last == nil || last.ExitCode == 0:
		return nil, 0
	}
	left := recently - now.Sub(c.State.Running.StartedAt.Time)
	if left <= 0 {
		return nil, 0
	}
	return last, left
}

func endTrouble(pod *corev1.Pod, container string, end *corev1.ContainerStateTerminated) trouble {
	if end.Reason == "OOMKilled" {
		return trouble{
			v1alpha1.ReasonOOMKilled,
			fmt.Sprintf(
				"pod %s: container %s was ended by the kernel, since it needed more memory than its limit (OOMKilled)", pod.Name,
				container,
			),
		}
	}
	words := lastWords(end.Message)
	if words == "" {
		words = fmt.Sprintf("see kubectl logs --previous %s -c %s", pod.Name, container)
	}
	return trouble{
		v1alpha1.ReasonContainerFailing,
		fmt.Sprintf("pod %s: container %s ends with exit code %d: %s", pod.Name, container, end.ExitCode, words),
	}
}

// lastWords is the last line that a program has printed. Where it is Redis's about a line of redis.conf, that line is
// told as well, unless it may hold a password.
func lastWords(printed string) string {
	var lines []string
	for line := range strings.Lines(printed) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "redisha: ") { // that is the start script's
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	last := steady(lines[len(lines)-1])
	if len(lines) > 1 && strings.HasPrefix(lines[len(lines)-2], ">>> ") && !mayBeSecret.MatchString(lines[len(lines)-2]) {
		return steady(strings.TrimPrefix(lines[len(lines)-2], ">>> ")) + ": " + last
	}
	return last
}

var (
	mayBeSecret = regexp.MustCompile(`(?i)pass|auth|user`)
	// logStamp is what Redis puts before each line of its log: its process ID, its role, the time and the level.
	logStamp = regexp.MustCompile(`^\d+:[A-Z] \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} [-.*#] `)
	// identifier is what names one attempt of a container runtime, or the content of an image, which is no attempt.
	identifier = regexp.MustCompile(`(sha256:)?\b[0-9a-f]{64}\b`)
)

// longest bounds what is quoted of others.
const longest = 500

// steady is one line of what others say, without what changes each time that they say it.
func steady(text string) string {
	text = strings.Join(strings.Fields(logStamp.ReplaceAllString(strings.TrimSpace(text), "")), " ")
	text = identifier.ReplaceAllStringFunc(text, func(id string) string {
		if strings.HasPrefix(id, "sha256:") {
			return id
		}
		return "…"
	})
	if len(text) <= longest {
		return text
	}
	cut := longest
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
