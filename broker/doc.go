// Package broker is the MQTT bus between the service, its plugins and its jobs:
// who may connect, who may say what, and what a slow or hostile peer can cost.
// docs/wire.md ("Authority", "Limits of the bus") is its specification.
//
// Package packet has the protocol's packets; here is what is done about them:
//
//   - sockets before and after CONNECT (listener.go, conn.go, gather.go),
//   - admission: one connection, one principal (admit.go, clientid.go),
//   - the life of a connection, packet by packet (session.go),
//   - what it publishes (inbound.go), whether it may (check.go, authority.go),
//   - who subscribed to what (routes.go, on mochi-mqtt's index), and how it gets there (deliver.go,
//     outbox.go): with queues of their own, so that nobody waits for a write,
//   - what is kept for a plugin that is away (keeper.go),
//   - what was refused lately (refusals.go).
//
// The package does not move requests, does not start or judge processes, and
// keeps nothing on disk.
package broker
