// Package acl knows the users: who they are, what each may run, and which keys and
// channels each may name. The rules, their texts and their errors are those of
// Redis 7.0 (https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/).
//
// A [Store] holds the users by name. A [User] is what a connection keeps: what it
// may do is one immutable value behind an atomic pointer, so that a check takes no
// lock and sees the rules of before or of after a change, never half of it. A user
// who may do everything costs a command two loads.
//
// Sessions ask [User.Check] before a command runs, scripts and publishers ask
// [User.CheckKey] and [User.CheckChannel]. What was refused is kept in the [Log].
package acl
