// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// worker looks after one pod from its binding to its end.
type worker struct {
	r   *runner
	key types.NamespacedName
	uid types.UID
	ctx context.Context    // ends with the sandbox or the node: nothing is graceful or reported then
	cut context.CancelFunc // ends it

	deleting chan struct{} // closed when deletion is asked for
	gone     chan struct{} // closed when the object is gone from the API: no grace is asked for any more
	dirty    chan struct{} // the status may have changed
	volumes  chan struct{} // a ConfigMap or Secret may have changed
	resizes  chan struct{} // containers are to have other resources

	mu           sync.Mutex
	pod          *corev1.Pod
	endpoint     *endpoint
	containers   map[string]*container
	initialized  bool
	ended        bool // no process is left and none will be
	startTime    metav1.Time
	conditions   map[corev1.PodConditionType]corev1.PodCondition
	allocated    amounts       // what the node has room for
	enacted      amounts       // what the containers have
	deadline     time.Time     // of the termination
	graceChanged chan struct{} // closed and replaced when deadline changes
	message      string        // why the containers have not begun
}

func newWorker(r *runner, pod *corev1.Pod) *worker {
	ctx, cut := context.WithCancel(r.ctx)
	w := &worker{
		ctx: ctx,
		cut: cut,
		r:   r,
		key: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name},
		uid: pod.UID,
		pod: pod,
		deleting: make(
			chan struct{},
		),
		gone:         make(chan struct{}),
		dirty:        make(chan struct{}, 1),
		volumes:      make(chan struct{}, 1),
		resizes:      make(chan struct{}, 1),
		allocated:    amountsOf(pod),
		enacted:      amountsOf(pod),
		containers:   map[string]*container{},
		startTime:    metav1.Now(),
		conditions:   map[corev1.PodConditionType]corev1.PodCondition{},
		graceChanged: make(chan struct{}),
	}
	for i := range pod.Spec.InitContainers {
		w.addContainer(&pod.Spec.InitContainers[i], true)
	}
	for i := range pod.Spec.Containers {
		w.addContainer(&pod.Spec.Containers[i], false)
	}
	w.remember(pod)
	w.update(pod)
	return w
}

func (w *worker) addContainer(spec *corev1.Container, init bool) {
	w.containers[spec.Name] = &container{w: w, name: spec.Name, init: init, kill: make(chan string, 1)}
}

// remember takes over what the API knows of the containers of a pod that has run before, on a node that has come back.
func (w *worker) remember(pod *corev1.Pod) {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		c := w.containers[status.Name]
		if c == nil || status.ContainerID == "" {
			continue
		}
		c.restarts, c.begun, c.id = status.RestartCount, int(status.RestartCount)+1, status.ContainerID
		c.last, c.ended = status.LastTerminationState.Terminated, status.State.Terminated
		if running := status.State.Running; running != nil {
			c.ended = &corev1.ContainerStateTerminated{
				ExitCode:    255,
				Reason:      "Unknown",
				ContainerID: status.ContainerID,
				StartedAt:   running.StartedAt,
				FinishedAt:  metav1.Now(),
			}
		}
	}
}

// update takes in a newer version of the pod.
func (w *worker) update(pod *corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pod = pod
	w.allocate(pod)
	notify(w.dirty)
	if pod.DeletionTimestamp == nil {
		return
	}
	deadline := time.Now().Add(time.Duration(ptr.Deref(pod.DeletionGracePeriodSeconds, 0)) * time.Second)
	select {
	case <-w.deleting:
		if deadline.After(w.deadline) { // asking again can only shorten it
			return
		}
	default:
		close(w.deleting)
	}
	w.deadline = deadline
	close(w.graceChanged)
	w.graceChanged = make(chan struct{})
}

func (w *worker) vanish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.gone:
	default:
		close(w.gone)
	}
}

func (w *worker) vanished() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *worker) wakeVolumes() { notify(w.volumes) }

func (w *worker) latest() *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod
}

func (w *worker) addr() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.endpoint == nil {
		return ""
	}
	return w.endpoint.addr.String()
}

func (w *worker) process(container string) (*process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.containers[container]
	if !ok {
		return nil, fmt.Errorf("pod %s has no container %q", w.key, container)
	}
	if c.process == nil {
		return nil, fmt.Errorf("container %s of pod %s is not running", container, w.key)
	}
	return c.process, nil
}

func (w *worker) dir() string { return filepath.Join(w.r.dir, string(w.uid)) }

// run is the pod's life. It returns when every process has ended, what the pod held is released, and the API knows, or
// does not want to.
func (w *worker) run() {
	ctx := w.ctx
	defer w.cut()
	pod, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-w.deleting:
		case <-w.gone:
		case <-pod.Done():
		}
		cancel() // containers stop, each by its own rules
	}()
	statusEnded, endStatus := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(statusEnded)
		w.statusLoop(ctx, endStatus)
	}()
	notify(w.dirty)
	w.thawed(ctx)
	w.live(pod)
	w.release()
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	notify(w.dirty)
	select {
	case <-w.deleting:
	case <-w.gone:
	case <-ctx.Done():
	}
	close(endStatus)
	<-statusEnded
	if ctx.Err() != nil {
		return // what is on the node stays there
	}
	w.finish(ctx)
	_ = os.RemoveAll(w.dir())
}

// live takes the pod through preparation, init containers and containers; it returns when all have ended for good.
func (w *worker) live(ctx context.Context) {
	if phase := w.latest().Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
		w.abandon()
		return
	}
	if !w.retry(ctx, "FailedCreatePodSandBox", w.connect) || !w.retry(ctx, "FailedMount", w.mountAll) {
		w.abandon()
		return
	}
	go w.refreshVolumes(ctx)
	go w.resizeLoop(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	pod := w.latest()
	for _, spec := range pod.Spec.InitContainers {
		c := w.containers[spec.Name]
		if ptr.Deref(spec.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways {
			all.Go(func() { c.loop(ctx) })
			w.waitStarted(ctx, c)
			continue
		}
		if c.loop(ctx); !c.succeeded() {
			w.abandon()
			return
		}
	}
	w.mu.Lock()
	w.initialized = true
	w.mu.Unlock()
	for _, spec := range pod.Spec.Containers {
		all.Go(func() { w.containers[spec.Name].loop(ctx) })
	}
}

// abandon marks containers that never began as ended, so that the pod's phase can be told.
func (w *worker) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.containers {
		c.over = true
	}
}

// retry runs a step until it succeeds or the context ends, telling the status why it does not.
func (w *worker) retry(ctx context.Context, reason string, step func(context.Context) error) bool {
	for {
		err := step(ctx)
		message := ""
		if err != nil {
			message = reason + ": " + err.Error()
		}
		w.mu.Lock()
		fresh := message != w.message
		w.message = message
		w.mu.Unlock()
		if err != nil && fresh {
			w.warn(reason, "%v", err)
		}
		if err == nil {
			return ctx.Err() == nil
		}
		notify(w.dirty)
		select {
		case <-ctx.Done():
			return false
		case <-w.volumes: // what is missing may have come
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (w *worker) connect(context.Context) error {
	e, err := w.r.sandbox.network.newEndpoint()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endpoint = e
	return nil
}

func (w *worker) waitStarted(ctx context.Context, c *container) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil && !c.isStarted() {
		<-ticker.C
	}
}

// release gives back the address once it is not used any more.
func (w *worker) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.endpoint != nil {
		w.endpoint.close()
	}
}

// finish tells the API server the last status and then that the pod may go, as a kubelet does; it tries until the
// server answers, because no other part will.
func (w *worker) finish(ctx context.Context) {
	zero := int64(0)
	pause := minPause
	for ctx.Err() == nil && !w.vanished() {
		attempt, cancel := requestContext(ctx)
		err := w.writeStatus(attempt)
		if err == nil {
			err = w.r.client.CoreV1().Pods(w.key.Namespace).Delete(attempt, w.key.Name, metav1.DeleteOptions{
				GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &w.uid},
			})
		}
		cancel()
		if err == nil || isGone(err) {
			return
		}
		w.r.sandbox.log.Warn("finish", "pod", w.key, "error", err)
		select {
		case <-ctx.Done():
		case <-w.gone:
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		}
	}
}
