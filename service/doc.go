// Package service assembles the packages into the running service: constructors,
// the order in which they start and stop, and the small adapters between
// interfaces that were declared at their consumers. Each room has a file here.
//
// It decides nothing about a request, a plugin or a job.
package service
