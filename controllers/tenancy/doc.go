// SPDX-License-Identifier: Apache-2.0

// Package tenancy sees to it that one tenant does not delay another: a tenant is a namespace, and what it may use up
// are turns in a queue, workers and writes to the Kubernetes API (docs/adr/0032-one-tenant-delays-no-other.md).
package tenancy
