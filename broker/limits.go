package broker

import "time"

// Limits of docs/wire.md, "Limits of the bus"; a test compares them.
const (
	connectTimeout    = 3 * time.Second
	maxPacket         = 1 << 20
	maxConnectPacket  = 64 << 10
	maxWaitingPerUser = 16
	maxWaiting        = 128 // connections before CONNECT
	asideWaiting      = 32  // of them, for root, as which plugins run
	maxConnections    = 256 // with a client id
	asideConnections  = 128 // of them, for plugins in service context
	maxPerPrincipal   = 32
	ourKeepAlive      = 60 // seconds; version 5 clients are told
	maxStall          = 10 * time.Second
	maxQueuedBytes    = 8 << 20
	maxBehind         = 8 << 20  // bytes of what one connection published while some subscriber had no room
	maxControl        = 64 << 10 // bytes of acknowledgements and the like
	maxUnacknowledged = 256      // QoS 1 and 2 deliveries on their way to one subscriber
	maxUnreleased     = 65535    // QoS 2 messages of one publisher without PUBREL: every packet id
	maxSubscriptions  = 256
	maxKept           = 10_000 // messages for a plugin that is away
	maxKeptBytes      = 8 << 20
	keptLife          = time.Hour
	maxLocal          = 512 // messages that wait for a subscription of the service
	maxOpenQuestions  = 4096
	questionLife      = 60 * time.Second
	maxRefusals       = 16 // that are shown, of one plugin, job or user
)

// Pauses that no peer can rely on.
const (
	goodbyeTimeout     = 2 * time.Second // for what was still to be said
	takeOverTimeout    = 5 * time.Second
	acceptedAtOnce     = 8 // before everything else goes on
	firstAcceptPause   = 5 * time.Millisecond
	longestAcceptPause = time.Second
)
