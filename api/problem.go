package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/wire"
)

// Problem is an RFC 9457 problem details object. Its type is about:blank: the
// code says more than a URL would.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   code   `json:"code"`
	// RequiredTier and CallerTier are set with tier-too-low,
	// client-certificate-required and signed-program-required.
	RequiredTier string `json:"requiredTier,omitempty"`
	CallerTier   string `json:"callerTier,omitempty"`
	// Errors points at each fault of a body (RFC 6901 pointers).
	Errors []Fault `json:"errors,omitempty"`

	allow []string // the methods of a 405
}

// Fault is one thing wrong with a request body.
type Fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Error makes a Problem an error, for handlers and logs.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

func problem(c code, format string, args ...any) *Problem {
	status := c.status()
	return &Problem{Title: http.StatusText(status), Status: status, Code: c, Detail: fmt.Sprintf(format, args...)}
}

func tierTooLow(required, actual core.Tier) *Problem {
	p := problem(codeTierTooLow, "this needs tier %s; the caller was recognised as %s", required, actual)
	p.RequiredTier, p.CallerTier = required.String(), actual.String()
	return p
}

func badBody(pointer, format string, args ...any) *Problem {
	p := problem(codeBadRequest, "the body is not what this endpoint takes")
	p.Errors = []Fault{{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}}
	return p
}

// faultsOf returns where a body is at fault, for errors that say so: one pointer
// per fault. A setting's "Section:Key" is a key in a section there.
func faultsOf(err error) []Fault {
	var list fault.List
	var one *fault.Fault
	switch {
	case errors.As(err, &list):
	case errors.As(err, &one):
		list = fault.List{one}
	}
	var faults []Fault
	for _, f := range list {
		faults = append(faults, Fault{
			Pointer: strings.Replace(f.Pointer(), ":", "/", 1),
			Detail:  wire.PrintableLine(f.Found + ", expected " + f.Expected),
		})
	}
	return faults
}

// problem answers an error of handle: a *Problem as it is, others by their kind.
// What o does not document is a fault of the service, whatever its kind: then
// fault is true, and the caller learns of it only if o explains it.
func (o operation) problem(err error) (p *Problem, fault bool) {
	if errors.As(err, &p) {
		return p, false
	}
	if faults := faultsOf(err); faults != nil && o.body != nil {
		p := badBody("", "")
		p.Errors = faults
		return p, false
	}
	text := wire.PrintableLine(err.Error())
	kind := core.KindOf(err)
	c := kinds[kind]
	if kind == core.NotFound {
		c = o.notFound
	}
	switch {
	case c == codeBadRequest && o.body != nil:
		return badBody("", "%s", text), false
	case kind != core.Internal && c != "" && slices.Contains(o.statuses(), c.status()):
		return problem(c, "%s", text), false
	case o.explains:
		return problem(codeInternal, "%s", text), false
	}
	return problem(codeInternal, "the service has logged what went wrong"), true
}
