// SPDX-License-Identifier: Apache-2.0

// Package election says who may be promoted, who wins, and whose data is whose. It is asked with the offsets of a
// failover standing still, and answers with a candidate, or with the reason why there is none.
package election
