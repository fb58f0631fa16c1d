package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// operation is one endpoint of the API: its route, who may use it, what it does
// and what openapi.json says of it, in one place.
type operation struct {
	method string
	path   string // literal segments and {name}s
	access access
	// plain operations are served on plain HTTP, too (decision 9).
	plain bool
	// handle returns what is answered as JSON. An error that is no *Problem is
	// answered by its kind (operation.problem).
	handle func(*call) (any, error)

	id, summary, description string
	query                    []queryParameter
	body                     *body // nil if it takes none
	answer                   answer
	// instead is what it answers when handle returns an instead; nil if that
	// never happens.
	instead *answer
	// notFound is the code of what {name}s may not find; empty if they cannot.
	notFound code
	// problems are the statuses of its other problems, besides those that every
	// operation has and that reading a body has.
	problems []int
	// explains is true where the caller is told what went wrong inside the
	// service: a job run in service context, whose log is the right place.
	explains bool
}

// body is what an operation takes.
type body struct {
	required bool
	schema   schema
}

// answer is what an operation answers if it succeeds.
type answer struct {
	status      int
	description string
	schema      schema
	contentType string // JSON if empty
}

// queryParameter is one that may stand in the query of a URL.
type queryParameter struct {
	name, description string
	schema            schema
}

// instead is what handle returns to answer with the operation's other status.
type instead struct{ body any }

// group is the operations on one kind of thing, with what their documents refer
// to by name.
type group struct {
	operations []operation
	parameters map[string]parameter // by {name}
	schemas    map[string]schema
}

// parameter describes a {name} in paths. maxLength is in characters.
type parameter struct {
	description string
	maxLength   int
}

// operations returns the whole API: the one list of the files operation_*.go.
func operations(cfg Config) []group {
	return []group{
		publicOperations(cfg.Version, cfg.Health, cfg.Plugins, cfg.Jobs),
		documentOperations(),
		schemaOperations(),
		pluginOperations(cfg.Plugins, cfg.PluginControl),
		doctorOperations(cfg.Doctor),
		goodOperations(cfg.LastKnownGood),
		settingOperations(cfg.Settings),
		applicationOperations(cfg.Application),
		factorOperations(cfg.Factors),
		jobFileOperations(cfg.Jobs), // before jobOperations: no id is called as they are
		jobRunOperations(cfg.Jobs),
		jobOperations(cfg.Jobs),
		requestOperations(cfg.Requests),
		grantOperations(cfg.Grants),
		fileGrantOperations(cfg.FileGrants),
		rightsOperations(cfg.Rights),
		accountOperations(cfg.Accounts),
		observeOperations(cfg.Observed),
		approvalOperations(cfg.Approvals),
		approvalKeyOperations(cfg.ApprovalKeys),
		noticeOperations(cfg.Notices),
		promptOperations(cfg.Prompts),
	}
}

// statuses returns those of all problems that o documents, in ascending order.
func (o operation) statuses() []int {
	all := append([]int{http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusTooManyRequests}, o.problems...)
	if o.body != nil {
		all = append(all, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if o.notFound != "" {
		all = append(all, http.StatusNotFound)
	}
	slices.Sort(all)
	return all
}

// names returns the {name}s of the path, in order.
func (o operation) names() []string {
	var names []string
	for segment := range strings.SplitSeq(o.path, "/") {
		if name, isValue := strings.CutPrefix(segment, "{"); isValue {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// filled returns the path with its {name}s filled in.
func (o operation) filled(values map[string]string) string {
	segments := strings.Split(o.path, "/")
	for i, segment := range segments {
		if name, isValue := strings.CutPrefix(segment, "{"); isValue {
			segments[i] = url.PathEscape(values[strings.TrimSuffix(name, "}")])
		}
	}
	return strings.Join(segments, "/")
}
