// Package api is how processes of this machine reach the service: the HTTP and
// HTTPS API, the same API on a local socket, and the local door on which people
// ask for elevation (api/local).
//
// Each operation of the API has one place, a file operation_*.go: its route, who
// may use it, its handler and its part of openapi.json, which is the sum of
// these parts. After a change of it:
//
//	go test ./api -run TestOpenAPI -update
//
// It establishes who is calling, decides whether they may, bounds what they
// can cost, and hands the request on. What a job, a plugin, a setting or an
// elevation is, and what becomes of it, is the business of other packages, which
// it knows by small interfaces only.
package api
