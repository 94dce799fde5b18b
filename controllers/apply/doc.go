// SPDX-License-Identifier: Apache-2.0

// Package apply makes the objects of an owner as they are wanted, by server-side apply, and writes nothing when nothing
// differs. It knows Kubernetes' ways with objects, and not what the objects are for.
package apply
