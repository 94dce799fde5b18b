// SPDX-License-Identifier: Apache-2.0

// Package podstate says what a Redis pod is by Kubernetes' word: ended, ready, proven, outdated. Both controllers go by
// it, so that one never waits for a pod that the other thinks well of.
package podstate
