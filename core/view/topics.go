package view

import "time"

// Topics is who may say and hear what on the bus, and what was refused lately.
type Topics struct {
	Speakers []Speaker `json:"speakers"`
	// Refusals are the latest first. A few of each plugin, job and user are kept.
	Refusals []Refusal `json:"refusals"`
	// Dropped are messages that somebody missed since the service started.
	Dropped []Dropped `json:"dropped"`
}

// Dropped says how many messages somebody missed for one cause.
type Dropped struct {
	// Cause is one of docs/wire.md, "What is dropped"; Why says it to people.
	Cause    string `json:"cause"`
	Why      string `json:"why"`
	Messages uint64 `json:"messages"`
}

// Speaker is a plugin, or a job of which a run is connected.
type Speaker struct {
	// Name is the id of the plugin or job; Kind is "plugin" or "job".
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Topic is a plugin's primary topic, Publish and Subscribe are the lists of
	// its own file.
	Topic     string   `json:"topic,omitempty"`
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
	// Connections are those that are open now, Subscribed their filters.
	Connections int      `json:"connections"`
	Subscribed  []string `json:"subscribed"`
	// Queued messages wait for a connection to take them.
	Queued int `json:"queued"`
	// Keeps says that messages are kept while the plugin is away; Kept is how
	// many are now, KeptDropped how many were not, or not long enough.
	Keeps       bool   `json:"keeps"`
	Kept        int    `json:"kept"`
	KeptDropped uint64 `json:"keptDropped"`
}

// Refusal is something that was not allowed on the bus, once or again and again.
type Refusal struct {
	// Principal is who was refused, Client their client id if they had one.
	Principal string `json:"principal"`
	Client    string `json:"client,omitempty"`
	// Operation is "publish", "subscription", "connection" or "Will".
	Operation string `json:"operation"`
	Topic     string `json:"topic,omitempty"`
	Reason    string `json:"reason"`
	// Missing is the list that would have to name the topic; empty if naming it
	// would not help.
	Missing string    `json:"missing,omitempty"`
	Count   int       `json:"count"`
	Last    time.Time `json:"last"`
}
