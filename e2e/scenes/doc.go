// SPDX-License-Identifier: Apache-2.0

// Package scenes has what happens to a RedisHA and what has to come of it, once for every environment: the sandbox
// (e2e/scenarios) and a cluster (e2e/suite) play the same scenarios, and have beside them what only one of them can do.
//
// A [Scene] reads the API and judges. What it cannot do by the API alone (to send a signal to a process, to part pods
// from each other, to look up what clients wrote) its [Stage] does, which each environment has of its own.
package scenes
