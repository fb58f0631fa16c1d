// Package api is how processes of this machine reach the service: the HTTP and
// HTTPS API, the same API on a local socket, and the door at which people ask
// for elevation.
//
// It establishes who is calling, decides whether they may, bounds what they
// can cost, and hands the request on. What a job, a plugin, a setting or an
// elevation is, and what becomes of it, is the business of other rooms, which
// it knows by small interfaces only.
package api
