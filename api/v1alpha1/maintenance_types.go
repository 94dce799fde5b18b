// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MaintenanceWindow is a time, again and again, in which the operator may move a master that serves.
type MaintenanceWindow struct {
	// schedule is when the window begins: minute, hour, day of month, month and day of week, as cron has them.
	// 0 3 * * sat is Saturday at three. A beginning that the clock is put forward over is as much later as the clock
	// jumps; one that the clock shows twice is one each time.
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^([*?]|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]?)?(,([*?]|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]?)?)* +([*?]|([01]?[0-9]|2[0-3])(-([01]?[0-9]|2[0-3]))?)(/[1-9][0-9]?)?(,([*?]|([01]?[0-9]|2[0-3])(-([01]?[0-9]|2[0-3]))?)(/[1-9][0-9]?)?)* +([*?]|(0?[1-9]|[12][0-9]|3[01])(-(0?[1-9]|[12][0-9]|3[01]))?)(/[1-9][0-9]?)?(,([*?]|(0?[1-9]|[12][0-9]|3[01])(-(0?[1-9]|[12][0-9]|3[01]))?)(/[1-9][0-9]?)?)* +([*?]|(0?[1-9]|1[0-2]|[a-zA-Z]{3})(-(0?[1-9]|1[0-2]|[a-zA-Z]{3}))?)(/[1-9][0-9]?)?(,([*?]|(0?[1-9]|1[0-2]|[a-zA-Z]{3})(-(0?[1-9]|1[0-2]|[a-zA-Z]{3}))?)(/[1-9][0-9]?)?)* +([*?]|([0-6]|[a-zA-Z]{3})(-([0-6]|[a-zA-Z]{3}))?)(/[1-9])?(,([*?]|([0-6]|[a-zA-Z]{3})(-([0-6]|[a-zA-Z]{3}))?)(/[1-9])?)*$')",message="spec.maintenanceWindows.schedule has five fields, which are minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12, or jan to dec) and day of week (0 to 6, or sun to sat): write it like '0 3 * * sat'"
	// +required
	Schedule string `json:"schedule"`
	// durationMinutes is how long the window lasts. A switchover that was begun within is ended after it.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10080
	// +required
	DurationMinutes int32 `json:"durationMinutes"`
	// timeZone is the zone whose clock the schedule goes by: a name of the time zone database, like Europe/Berlin.
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$') && self != 'Local' && timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0",message="spec.maintenanceWindows.timeZone is a name of the time zone database: write it like Europe/Berlin, or remove the field for UTC"
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
}
