// SPDX-License-Identifier: Apache-2.0

// Package requests reads what a person asks for by the annotation redisha.io/request.
package requests
