package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Refusal is what the service says when it does not do as asked: problem
// details as RFC 9457 has them.
type Refusal struct {
	Status int    `json:"status"` // of HTTP
	Code   string `json:"code"`   // stable across releases
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"` // RFC 6901, into the body; empty is the body itself
		Detail  string `json:"detail"`
	} `json:"errors"`
}

func refused(status int, answer []byte) error {
	var r Refusal
	if json.Unmarshal(answer, &r) != nil || r.Code == "" {
		return fmt.Errorf("the answer is %d %s: is that the service?", status, http.StatusText(status))
	}
	return &r
}

// Said is what the service said, for people: the fault itself where it names one.
func (r *Refusal) Said() string {
	if len(r.Errors) == 1 && r.Errors[0].Pointer == "" {
		return r.Errors[0].Detail
	}
	text := r.Detail
	for _, fault := range r.Errors {
		text += fmt.Sprintf("; %s: %s", orBody(fault.Pointer), fault.Detail)
	}
	return text
}

// Error says what the service said, and what to do where that is plain.
func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "refused (%s): %s", r.Code, r.Detail)
	for _, fault := range r.Errors {
		fmt.Fprintf(&b, "; %s: %s", orBody(fault.Pointer), fault.Detail)
	}
	switch r.Code {
	case "tier-too-low":
		b.WriteString("; run this as root")
	case "client-certificate-required":
		b.WriteString("; give --port, --client-cert and --client-key")
	}
	return b.String()
}

func orBody(pointer string) string {
	if pointer == "" {
		return "body"
	}
	return pointer
}
