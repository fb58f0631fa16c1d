package view

// Outcomes of a check.
const (
	Pass    = "pass"
	Fail    = "fail"
	Unknown = "unknown" // it cannot be seen from here, or not yet
)

// Check is one item of the published checklist, held against a plugin.
type Check struct {
	Item    int    `json:"item"` // its number there
	Title   string `json:"title"`
	Outcome string `json:"outcome"`
	// Found says what there is; Remedy what to do unless it passes.
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

// Diagnosis is a row of the published troubleshooting table, recognised on this
// machine.
type Diagnosis struct {
	Symptom string `json:"symptom"` // as the table has it
	Plugin  string `json:"plugin,omitempty"`
	Found   string `json:"found"`
	Remedy  string `json:"remedy"`
}

// APIRefusal is a request that the API answered with 403, once or again and
// again.
type APIRefusal struct {
	Caller string `json:"caller"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Code   string `json:"code"`
	Count  int    `json:"count"`
}
