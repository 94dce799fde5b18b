// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// DefaultImage is used when spec.image is absent: the newest 7.x line of Redis,
// spoken by every client library, by its minor tag, so that a pull brings patch
// releases and never a new minor. Redis 7.0 to 8 and Valkey work as well.
const DefaultImage = "docker.io/library/redis:7.4"

// Defaults of the schema, for code that builds a RedisHA without an API server.
const (
	DefaultReplicas              int32 = 3
	DefaultDownAfterMilliseconds int32 = 3000
	DefaultCooldownSeconds       int32 = 30
	DefaultMaxLagBytes           int64 = 64 << 20
	DefaultStorageSize                 = "8Gi"
	DefaultAuthKey                     = "password"
	// DefaultTerminationGracePeriodSeconds is 20 s for the preStop hook and 10 s for Redis to stop.
	DefaultTerminationGracePeriodSeconds int64 = 30
	// DefaultAcceptFormerSeconds is an hour.
	DefaultAcceptFormerSeconds int32 = 3600
	// DefaultTrustFormerCASeconds is a day.
	DefaultTrustFormerCASeconds int32 = 86400
)
