// SPDX-License-Identifier: Apache-2.0

// Package controllertest is a fake Kubernetes API with pods of a RedisHA, for the tests of the controllers.
package controllertest
