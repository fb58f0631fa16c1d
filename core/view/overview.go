package view

import "time"

// Overview is what an administrator wants to know of the service first (GET
// /api/system/overview). Times are in UTC.
type Overview struct {
	Version       string    `json:"version"`
	Root          string    `json:"root"`
	ProcessID     int       `json:"processId"`
	StartedAt     time.Time `json:"startedAt"`
	UptimeSeconds float64   `json:"uptimeSeconds"`
	// HTTP, HTTPS and MQTT are the ports that are held, 0 where another process
	// has the port.
	HTTP  int `json:"httpPort"`
	HTTPS int `json:"httpsPort"`
	MQTT  int `json:"mqttPort"`
	// Open are requests without an end.
	Open        int                `json:"openRequests"`
	Certificate *ServedCertificate `json:"certificate,omitempty"` // of HTTPS and MQTT; left out while there is none
	Journal     JournalState       `json:"journal"`
	Executions  Executions         `json:"executions"`
}

// Executions is whether programs are stopped before they run.
type Executions struct {
	// On: an administrator has switched it on. Needed: policies in force say which
	// programs may run, or what commands may start.
	On      bool   `json:"on"`
	Needed  bool   `json:"needed"`
	Running bool   `json:"running"`
	Fault   string `json:"fault,omitempty"` // why it is on and does not run
}

// ServedCertificate is the certificate that clients are shown.
type ServedCertificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	SHA256    string    `json:"sha256"` // hex
}

// JournalState is how far the journal goes, in records.
type JournalState struct {
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Segments int    `json:"segments"`
	// Writable: a request's records could be written now; Fault says why not.
	Writable bool   `json:"writable"`
	Fault    string `json:"fault,omitempty"`
	// Signed is the last record that a checkpoint covers, and SignedAt when that
	// was made; 0 if there was none since the service started.
	Signed   uint64    `json:"signed,omitempty"`
	SignedAt time.Time `json:"signedAt,omitzero"`
}
