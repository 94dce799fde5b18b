// SPDX-License-Identifier: Apache-2.0

// Package clients knows applications that use Redis, one for each client library with the settings that the library has
// by itself, and what they notice of a fault.
//
// Each application is a program that keeps one client object for as long as it lives, and goes on with it after an
// error. A program is started with HOST PORT PREFIX INTERVAL START, the interval in milliseconds, and finds the
// password in REDIS_PASSWORD. It counts from START and prints one line for each thing that happens, with the time in
// milliseconds since 1970:
//
//	A <time> <number>            Redis has acknowledged the number: PREFIX:number is written or read, a job accepted
//	D <time> <number>            the number has arrived: a job has run, an item was popped, a message came
//	E <time> <number> <message>  an error
//
// A program that produces what it also consumes stops producing when it gets SIGUSR2. It runs until it is killed.
// Further settings than the library's own come with SETTINGS=tuned.
package clients
