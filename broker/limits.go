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
	minKeepAlive      = 1  // seconds
	maxKeepAlive      = 60 // seconds
	writeTimeout      = 2 * time.Second
	maxQueuedMessages = 512
	maxQueuedBytes    = 8 << 20
	maxHold           = 2 * time.Second
	maxControl        = 64 << 10 // bytes of acknowledgements and the like
	maxUnacknowledged = 256      // QoS 1 and 2 deliveries on their way to one subscriber
	maxUnreleased     = 4096     // QoS 2 messages of one publisher without PUBREL
	maxSubscriptions  = 256
	maxOpenQuestions  = 4096
	questionLife      = 60 * time.Second
)

// Pauses that no peer can rely on.
const (
	sameIDGrace        = 250 * time.Millisecond
	acceptedAtOnce     = 8 // before everything else goes on
	firstAcceptPause   = 5 * time.Millisecond
	longestAcceptPause = time.Second
)
