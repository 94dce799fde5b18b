// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/redisha/redisha/e2e/testbed"
)

// What a run is told by its environment; `make e2e` sets the first two.
const (
	envRun           = "E2E"             // has to be set for the suite to run
	envInstaller     = "E2E_INSTALLER"   // what make build-installer wrote, dist/e2e-install.yaml by default
	envImage         = "E2E_IMAGE"       // of Redis, where a scenario does not say otherwise
	envConsistency   = "E2E_CONSISTENCY" // of a RedisHA, where a scenario does not say otherwise
	envArtefacts     = "E2E_ARTEFACTS"   // folder for what is kept of failures, dist/e2e by default
	envCount         = "COUNT"           // repetitions of the scenarios that measure
	envSentinelCount = "SENTINEL_COUNT"  // of them, how many with Sentinels; all by default
	envLibraries     = "E2E_LIBRARIES"   // of those in Go, which ones run on every worker
	envKeep          = "KEEP"            // set: namespaces of failed scenarios stay
)

// perScenario bounds a scenario. What is waited for in it has shorter bounds, so that a failure says what did not come.
const perScenario = 8 * time.Minute

// What all scenarios share.
var (
	env      *environment
	results  table
	compared comparison
)

func TestOnACluster(t *testing.T) {
	if os.Getenv(envRun) == "" {
		t.Skip("left out: make e2e runs it")
	}
	var err error
	if env, err = connect(); err != nil {
		t.Fatal(err)
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(2 * time.Minute)
	SetDefaultEventuallyPollingInterval(250 * time.Millisecond)
	suite, reporter := GinkgoConfiguration()
	suite.Timeout = 3 * time.Hour // each scenario has a deadline of its own
	RunSpecs(t, "RedisHA on a cluster", suite, reporter)
}

var _ = BeforeSuite(func(ctx SpecContext) {
	Expect(env.LoadBinary(ctx, GinkgoWriter, chaosImage, "./e2e/cmd/chaos")).To(Succeed())
	rememberFormer(ctx)
	env.install(ctx, fromRoot(envInstaller, "dist/e2e-install.yaml"))
}, NodeTimeout(5*time.Minute))

var _ = AfterSuite(func() {
	fmt.Print(results.String(), compared.String())
	if err := errors.Join(
		saveRows("results.json", results.Runs()), saveRows("compare.json", compared.Runs()),
	); err != nil {
		Fail(err.Error())
	}
})

// repeated is a scenario that measures: COUNT of them, each with a RedisHA of its own.
func repeated(text string, args ...any) {
	for i := range count() {
		name := text
		if i > 0 {
			name = fmt.Sprintf("%s (%d)", text, i+1)
		}
		It(name, append([]any{SpecTimeout(perScenario)}, args...)...)
	}
}

func count() int { return number(envCount, 1) }

func number(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return fallback
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// fromRoot is a path that is given, or else one in the repository.
func fromRoot(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	root, err := testbed.Root()
	Expect(err).NotTo(HaveOccurred())
	return filepath.Join(root, fallback)
}

func artefacts() string { return fromRoot(envArtefacts, "dist/e2e") }
