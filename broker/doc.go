// Package broker is the MQTT bus between the service, its plugins and its jobs:
// who may connect, who may say what, and what a slow or hostile peer can cost.
// docs/wire.md ("Authority", "Limits of the bus") is its specification.
//
// The protocol itself is mochi-mqtt, unmodified. This package keeps for itself
// everything that a connected process could abuse:
//
//   - sockets before and after CONNECT (listener.go, conn.go),
//   - admission: one connection, one principal (admit.go, clientid.go),
//   - what may be published, subscribed to and received (authority.go),
//   - delivery to subscribers, with its own packet ids and queues (outbox.go).
//
// mochi decodes packets, keeps sessions and the index of subscriptions, and
// acknowledges what clients publish. It never forwards a message by itself.
//
// The package does not move requests, does not start or judge processes, and
// keeps nothing on disk.
package broker
