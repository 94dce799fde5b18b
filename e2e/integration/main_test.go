// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// bed is the cluster with the operator that all tests of this package share.
var bed *testbed.Testbed

func TestMain(m *testing.M) {
	sandbox.Enter(testbed.Prepare, func(ctx context.Context) error {
		_, err := sandbox.Kubectl(ctx, os.Stderr) // for the commands of the guide
		return err
	}, func(ctx context.Context) error {
		_, err := exporterImage(ctx)
		return err
	})
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	logs, err := os.MkdirTemp("", "redisha-integration-")
	if err != nil {
		return 1, err
	}
	exporter, err := exporterImage(ctx)
	if err != nil {
		return 1, err
	}
	s, err := sandbox.Start(ctx, sandbox.Options{LogDir: logs, Images: map[string]sandbox.Image{exporterName: exporter}})
	if err != nil {
		return 1, err
	}
	defer s.Stop()
	if bed, err = testbed.Up(ctx, s, testbed.Options{LogDir: logs, Operators: 1}); err != nil {
		return 1, err
	}
	defer bed.Down()
	code := m.Run()
	if code == 0 {
		return code, os.RemoveAll(logs)
	}
	return code, errors.New("the logs of control plane, operator and Redis are in " + logs)
}

// within bounds a test's waiting.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// namespace makes one for a test and deletes it, with all that is in it, afterwards.
func namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted",
	}}}
	if err := bed.Client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := bed.Client.Delete(ctx, ns); err != nil {
			t.Error(err)
		}
	})
	return ns.Name
}

// create makes a RedisHA and waits until it is well.
func create(t *testing.T, ns string, spec v1alpha1.RedisHASpec) client.ObjectKey {
	t.Helper()
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"}, Spec: spec}
	if err := bed.Client.Create(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKeyFromObject(rha)
	settled(t, key)
	return key
}

// settled waits until all is well with a RedisHA, and its pods are what the spec wants.
func settled(t *testing.T, key client.ObjectKey) *v1alpha1.RedisHA {
	t.Helper()
	rha, err := bed.WaitUpToDate(within(t, 2*time.Minute), key)
	if err != nil {
		t.Fatal(err)
	}
	return rha
}

// change changes a RedisHA, whoever else writes to it.
func change(t *testing.T, key client.ObjectKey, edit func(*v1alpha1.RedisHA)) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	rha, err := bed.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	before := rha.DeepCopy()
	edit(rha)
	if err := bed.Client.Patch(ctx, rha, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, limit time.Duration, holds func(context.Context) (bool, error)) {
	t.Helper()
	if err := sandbox.WaitFor(within(t, limit), what, holds); err != nil {
		t.Fatal(err)
	}
}
