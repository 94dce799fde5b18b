// SPDX-License-Identifier: Apache-2.0

//go:build !crashpoints

package main

import "github.com/redisha/redisha/failover"

// onPersisted does nothing in the operator that people run; see crash.go.
func onPersisted() func(failover.State) { return nil }
