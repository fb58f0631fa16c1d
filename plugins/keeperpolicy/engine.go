package keeperpolicy

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/idle"
	"kpm/core/policy"
	"kpm/core/wire"
)

// Config says where policies are, and with what they are read.
type Config struct {
	Root string // the agent root
	// Open opens the folder at path. Errors are those of Folder, or wrap
	// fs.ErrNotExist.
	Open func(path string) (Folder, error)
	// Resolve follows a path, links included, to what exists; nil resolves
	// nothing. Each object on the way is shown to visit, which may be nil, with
	// whether it is a link and whether administrators alone can change it. It
	// does not block.
	Resolve func(path string, visit func(at string, link, protected bool)) (string, error)
	// Reload has everything read again, whatever has changed; nil never does.
	Reload <-chan os.Signal
	// Pace rests while nobody asks for anything; nil does not.
	Pace idle.Pace
	// Ahead is what Begin has begun with this configuration; nil is nothing.
	Ahead *Ahead
	// Sparing, if not nil, is called once the first question has been answered, and
	// before many policies are read: from then on memory counts more than time. It may be
	// called more than once.
	Sparing func()
	// Wide, if not nil, is called with true when many policies are being read, which takes
	// less time by more than one processor, and with false when they are in force.
	Wide func(many bool)
}

// engine answers questions from the set in force. Replacing the set never
// makes a question wait.
type engine struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	force atomic.Pointer[inForce] // nil while no set could be read
	fault atomic.Pointer[string]  // why there is none
	// unread is why a file that was read last is not in force as it lies there; nil if
	// every one is.
	unread atomic.Pointer[string]
	// reloads are questions that are answered when everything has been read again.
	reloads chan wire.RequestMessage
	// around is what is looked at for each question.
	around *surroundings
	// filters runs filter jobs; nil where there are none, as in a tool.
	filters *filters
	// replied, if not nil, is called after each answer.
	replied func()
	// memory is given back when nobody has asked for a while; nil never is.
	memory *idle.Watch
}

// inForce is what questions are answered from.
type inForce struct {
	set    *policy.Set
	groups []string // names of groups that the set uses
	links  *linked
	// name tells the set from others, executions whether it restricts any.
	name       string
	executions bool
	children   bool            // it says what allowed programs may start
	removals   bool            // it may take people out of groups
	files      map[string]text // that it was read from, by path
}

// names says which policies an answer is from, and what they are about.
func (f *inForce) names(response *wire.PolicyResponse) {
	response.Generation, response.Executions, response.ChildRules, response.Removals = f.name, f.executions, f.children, f.removals
}

// load reads the policies and puts them in force. A file that cannot be read
// costs no other file its force: of that file alone the last good version stays.
// When the agent starts there is no such version, and what the file denies is not
// known: then everything is denied. Every fault is logged. It reports whether
// there was none.
func (e *engine) load(enforceForAdministrators bool) bool {
	r := newReading(e.cfg)
	if before := e.force.Load(); before != nil {
		r.before = before.files
	}
	r.read(e.cfg)
	defer giveBack(r.bytes)
	defer r.end()
	return e.take(r, enforceForAdministrators)
}

// take puts in force what was read.
func (e *engine) take(r *reading, enforceForAdministrators bool) bool {
	before := e.force.Load()
	set, findings := r.compilation.Set(enforceForAdministrators)
	findings = append(r.findings, findings...)
	e.report(findings)
	faulty := policy.Faulty(findings)
	e.unread.Store(nil)
	if faulty {
		e.unread.Store(firstFault(findings))
	}
	switch {
	case !faulty:
	case before == nil:
		e.fault.Store(firstFault(findings))
		e.log.Error("policies cannot be used and there are no earlier ones: everything is denied")
		return false
	case r.unusable:
		e.log.Error("policies cannot be used: the last good ones stay in force")
		return false
	default:
		e.log.Error("a policy file cannot be used: its last good version, if there was one, stays in force beside the others; after a restart everything is denied until it is corrected")
	}
	next := &inForce{set: set, groups: set.GroupNames(), links: newLinked(set.Paths(), e.cfg.Resolve), files: r.good, name: rand.Text(), executions: set.RestrictsExecutions(), children: set.RulesChildren(), removals: set.TakesRights()}
	if n := next.links.unfollowed; n > 0 {
		e.log.Warn("policies name programs in too many places to follow links for every decision: of these names they are followed when policies are read", "names", n, "directories", maxFollowed, "where users can make links", maxVolatile)
	}
	e.force.Store(next)
	enforcing, monitoring := set.Size()
	e.log.Info("policies in force", "files", r.files, "enforcing", enforcing, "monitoring", monitoring)
	return !faulty
}

// resolveFrom makes of resolve what the engine asks about arguments.
func resolveFrom(resolve resolver) func(dir, path string) (string, bool) {
	if resolve == nil {
		return nil
	}
	return func(dir, path string) (string, bool) {
		if !filepath.IsAbs(path) {
			path = dir + "/" + path // "..", behind a link, is the resolver's to follow
		}
		to, err := resolve(path, nil)
		return to, err == nil
	}
}

// maxFault bounds what a probe is told, in bytes.
const maxFault = 512

// firstFault says what keeps policies from being used.
func firstFault(findings []policy.Finding) *string {
	text := "the policies cannot be used"
	for _, f := range findings {
		if f.Severity == policy.Fault {
			text += ": " + f.Error()
			break
		}
	}
	text = strings.ToValidUTF8(text[:min(len(text), maxFault)], "")
	return &text
}

func (e *engine) report(findings []policy.Finding) {
	for _, f := range findings {
		level := slog.LevelInfo
		switch f.Severity {
		case policy.Fault:
			level = slog.LevelError
		case policy.Doubt:
			level = slog.LevelWarn
		}
		e.log.Log(context.Background(), level, f.Error(), "severity", f.Severity.String())
	}
}

// maxNamed bounds the policies that an answer names: it must fit into a
// message however many apply.
const maxNamed = 100

const (
	unreadable = "The policies of this machine cannot be read, so everything is refused. Tell the person who manages them; KeeperPolicy's log names the fault."
	malformed  = "The question could not be understood, so it was refused."
)

// undecided is a question whose answer depends on filter jobs.
type undecided struct {
	asked policy.Question
	jobs  []string
}

// begin decides a question, or says on which filter jobs the answer depends. What
// cannot be understood is denied, and the answer still echoes what could be read of
// it.
func (e *engine) begin(m wire.RequestMessage) (wire.PolicyRequest, wire.PolicyResponse, *undecided) {
	q, err := readQuestion(m, localPeople(), e.cfg.Resolve)
	if err == nil {
		err = understood(q)
	}
	response := wire.PolicyResponse{RequestID: q.RequestID, SealDigest: q.SealDigest, Decision: core.Deny}
	force := e.force.Load()
	if force != nil {
		force.names(&response)
	}
	switch {
	case err == nil && (q.EventType == wire.EventProbe || q.EventType == wire.EventReload) && q.RequestID == "":
		if fault := e.fault.Load(); force == nil && fault != nil {
			response.Fault = *fault
		}
		if fault := e.unread.Load(); q.EventType == wire.EventReload && fault != nil {
			response.Fault = *fault
		}
		if force != nil {
			rules, changes := e.fileRules(force), e.fileChanges(force)
			response.FileRulesDigest, response.FileChangesDigest = digestOf(len(rules.Rules), rules), digestOf(len(changes.Changes), changes)
		}
	case err != nil:
		response.Message = malformed + whichField(err)
	case force == nil:
		response.Message = unreadable
	case q.EventType == wire.EventFileRules:
		rules := e.fileRules(force)
		response.FileRules, response.FileRulesDigest = &rules, digestOf(len(rules.Rules), rules)
	case q.EventType == wire.EventFileChanges && m.Source == core.ServicePrincipal().String(): // files hold secrets
		changes := e.fileChanges(force)
		response.FileChanges, response.FileChangesDigest = &changes, digestOf(len(changes.Changes), changes)
	case q.EventType == wire.EventList:
		q.EventType = wire.EventPrivilegeElevation
		asked, _ := e.question(q, force)
		q.EventType = wire.EventList
		if list, ok := force.set.May(asked); ok {
			response.Listing = &list
		}
	default:
		asked, ok := e.question(q, force)
		if !ok {
			response.Message = malformed
			break
		}
		if q.EventType == wire.EventExecution || q.Parent != nil { // nobody can wait for filter jobs
			e.execution(&response, q, asked, force)
			break
		}
		if jobs := force.set.FilterJobs(asked); len(jobs) > 0 {
			return q, response, &undecided{asked, jobs}
		}
		decide(&response, asked, force)
	}
	return q, response, nil
}

// decide answers a question by the policies in force, and says what those that only
// watch would have made of it.
func decide(response *wire.PolicyResponse, asked policy.Question, force *inForce) {
	d := force.set.Decide(asked)
	response.Decision, response.Controls, response.Message, response.Paths = d.Outcome, d.Controls, d.Message, d.Paths
	response.Approvals, response.Uncovered, response.Account, response.Session = d.Approvals, d.Uncovered, d.Account, d.Session
	response.Policies = d.Policies[:min(len(d.Policies), maxNamed)]
	if len(d.Demands) <= maxNamed { // else nothing is remembered
		response.Demands = d.Demands
	}
	if force.children && d.Outcome != core.Deny {
		if rule := force.set.Children(asked); rule != policy.ChildrenInherit {
			response.Children = rule.String()
		}
	}
	if asked.Kind == wire.EventLeastPrivilege {
		removal := force.set.Removal(asked)
		removal.Policies, removal.Monitored = removal.Policies[:min(len(removal.Policies), maxNamed)], removal.Monitored[:min(len(removal.Monitored), maxNamed)]
		removal.Notices = bounded(removal.Notices)
		response.Removal = &removal
	}
	if w := force.set.Watching(asked); len(w.Policies) > 0 {
		w.Policies, w.Notices, w.FilterJobs = w.Policies[:min(len(w.Policies), maxNamed)], bounded(w.Notices), w.FilterJobs[:min(len(w.FilterJobs), maxNamed)]
		response.Monitored = &w
	}
}

// maxNotices bounds what a person is told of monitoring policies for one request.
const maxNotices = 5

func bounded(list []core.Notice) []core.Notice { return list[:min(len(list), maxNotices)] }

// whichField says what of a question could not be understood, if that is known.
func whichField(err error) string {
	var wrong *fieldError
	if errors.As(err, &wrong) {
		return " " + wrong.Error() + "."
	}
	var unfit *json.UnmarshalTypeError
	if errors.As(err, &unfit) {
		return wire.Printable(fmt.Sprintf(" %s: found %s, expected %s.", cmp.Or(unfit.Field, "Payload"), unfit.Value, inJSON(unfit.Type)))
	}
	return ""
}

// inJSON is what JSON calls a value that fits t.
func inJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.String:
		return "string"
	}
	return "number"
}

// understood reports what a question must have to be decided on.
func understood(q wire.PolicyRequest) error {
	switch {
	case ofTheService(q.EventType):
		return nil
	case q.UserID == noUser:
		return &fieldError{"UserId", string(noUser), "somebody's id"}
	case q.UserID == "":
		return &fieldError{"UserId", "none", "the id of the user who asks"}
	case q.UserName == "":
		return &fieldError{"UserName", "none", "the name of the user who asks"}
	case q.EventType == wire.EventList:
	case q.FilePath == "":
		return &fieldError{"FilePath", "none", "the program's absolute path"}
	case len(q.Arguments) == 0:
		return &fieldError{"Arguments", "none", "argv, with what the program is called first"}
	}
	return nil
}

// noUser is -1 as a uid: it means "leave as it is" to the kernel and is nobody
// (CVE-2019-14287).
const noUser core.UserID = "4294967295"

// question is q as the engine takes it, at this moment. It is false if the
// arguments cannot be read.
func (e *engine) question(q wire.PolicyRequest, force *inForce) (policy.Question, bool) {
	arguments, ok := wire.Argv(q.Arguments, q.ArgumentBytes)
	groups := e.around.groups.missingOf(force.groups)
	if len(groups) > 0 { // one that somebody is in is there
		groups = without(groups, func(name string) bool {
			return slices.Contains(q.GroupNames, name) || slices.Contains(q.DoubtfulGroupNames, name)
		})
	}
	return policy.Question{
		Kind: q.EventType, User: q.UserID, UserName: q.UserName, OtherNames: q.OtherNames, Administrator: q.Administrator,
		Groups: q.Groups, GroupNames: q.GroupNames, DoubtfulGroups: q.DoubtfulGroups, DoubtfulGroupNames: q.DoubtfulGroupNames,
		GroupsUnknown: q.GroupsUnknown, MissingGroups: groups,
		Target: q.TargetUserID, TargetName: q.TargetUser,
		// Who names no target means the administrator, as keepersudo does.
		TargetAdministrator: q.TargetIsAdministrator || q.TargetUser == "" && q.TargetUserID == "",
		Links:               force.links.to(q.FilePath), Directory: q.WorkingDirectory,
		Machine: q.MachineName, Path: q.FilePath, Requested: q.RequestedPath, Hash: q.FileHash, Arguments: arguments,
		Signers: q.Signers, SignersKnown: q.SignersKnown, Risk: q.Risk, RequestedBy: q.RequestedBy, Time: e.around.zone.of(e.now()),
	}, ok
}

// record logs a decision, and which monitoring policies it would have
// concerned. Arguments may hold secrets and stay out.
func (e *engine) record(q wire.PolicyRequest, r wire.PolicyResponse) {
	var by []string
	for _, ref := range r.Policies {
		by = append(by, ref.ID)
	}
	e.log.Info("decided", "request", string(q.RequestID), "user", q.UserName, "program", q.FilePath, "decision", string(r.Decision), "policies", by)
	if r.Monitored == nil {
		return
	}
	for _, ref := range r.Monitored.Policies {
		e.log.Info("a monitoring policy is met", "request", string(q.RequestID), "policy", ref.ID, "user", q.UserName, "program", q.FilePath,
			"would be", string(r.Monitored.Outcome), "controls", r.Monitored.Controls)
	}
	if jobs := r.Monitored.FilterJobs; len(jobs) > 0 {
		e.log.Info("filter jobs of monitoring policies were not run, and are taken to pass", "request", string(q.RequestID), "jobs", jobs)
	}
	for _, notice := range r.Monitored.Notices {
		e.log.Info("a notice of a monitoring policy", "request", string(q.RequestID), "user", q.UserName, "notice", notice.Text)
	}
}
