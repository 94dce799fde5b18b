// SPDX-License-Identifier: Apache-2.0

// Package maintenance reads spec.maintenanceWindows: when the operator may move a master that serves by its own plan.
// It is pure; both controllers ask it.
package maintenance
