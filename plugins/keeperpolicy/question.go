package keeperpolicy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/policy"
	"kpm/core/wire"
)

// fieldError says which field of a question cannot be understood.
type fieldError struct{ field, found, expected string }

func (e *fieldError) Error() string {
	return wire.Printable(fmt.Sprintf("%s: found %s, expected %s", e.field, e.found, e.expected))
}

// short is the documented form of a question: user, machine, application, command
// line and event type. What it leaves out is looked up on this machine.
type short struct {
	User, Machine, Application, CommandLine string
}

// readQuestion reads a question in either form. What is sealed comes from the
// service, which has looked up everything, and so do probes and questions for
// listings: nothing is added to them.
func readQuestion(m wire.RequestMessage, people people, resolve resolver) (wire.PolicyRequest, error) {
	var q wire.PolicyRequest
	if err := m.Read(wire.TypePolicyRequest, &q); err != nil {
		return q, err
	}
	if q.RequestID != "" || q.SealDigest != "" || ofTheService(q.EventType) || q.EventType == wire.EventList || q.Parent != nil {
		return q, nil
	}
	var s short
	if err := json.Unmarshal(m.Payload, &s); err != nil {
		return q, fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	return complete(q, s, people, resolve)
}

// complete adds what a question in the short form leaves out.
func complete(q wire.PolicyRequest, s short, people people, resolve resolver) (wire.PolicyRequest, error) {
	if err := completeType(&q); err != nil {
		return q, err
	}
	if err := people.complete(&q, s.User); err != nil {
		return q, err
	}
	if q.MachineName == "" {
		q.MachineName = s.Machine
	}
	if q.MachineName == "" {
		q.MachineName, _ = os.Hostname() // without a name, filters of machines restrict
	}
	address := q.EventType == policy.TypeHTTPAccess && strings.Contains(s.Application, "://")
	if q.EventType == wire.EventLeastPrivilege || address { // it is about no program
		q.FilePath, q.Arguments = "/", []string{"/"}
	}
	if err := completeProgram(&q, s.Application, resolve); err != nil {
		return q, err
	}
	if len(q.Arguments) > 0 {
		return q, nil
	}
	words, err := splitCommandLine(s.CommandLine, platform())
	if err != nil {
		return q, &fieldError{"CommandLine", strings.TrimPrefix(err.Error(), "found "), "a command line with closed quotes"}
	}
	q.Arguments = words
	if len(words) == 0 || !names(words[0], &q) {
		q.Arguments = append([]string{filepath.Base(q.FilePath)}, words...)
	}
	return q, nil
}

// completeType writes the type as policies do. The service alone asks about
// executions, and about what is no policy type.
func completeType(q *wire.PolicyRequest) error {
	known := policy.Types()
	for _, name := range known {
		if strings.EqualFold(name, q.EventType) {
			q.EventType = name
			return nil
		}
	}
	switch q.EventType {
	case wire.EventExecution:
		return nil
	case "":
		return &fieldError{"EventType", "none", "a policy type, such as " + wire.EventPrivilegeElevation}
	}
	return &fieldError{"EventType", fmt.Sprintf("%q", q.EventType), "a policy type: " + strings.Join(known, ", ")}
}

// names reports whether the first word of a command line is the program, and not
// its first argument.
func names(word string, q *wire.PolicyRequest) bool {
	return word == q.RequestedPath || word == q.FilePath || filepath.Base(word) == filepath.Base(q.FilePath) ||
		filepath.Base(word) == filepath.Base(q.RequestedPath)
}

// completeProgram follows the program's links. A bare name is looked for where the
// service does.
func completeProgram(q *wire.PolicyRequest, application string, resolve resolver) error {
	if q.FilePath != "" {
		return nil
	}
	if application == "" {
		application = q.RequestedPath
	}
	if application == "" {
		return &fieldError{"Application", "none", "a path, or the name of a program"}
	}
	candidates := []string{application}
	if platform().IsBareName(application) {
		candidates = candidates[:0]
		for _, dir := range platform().SecurePath() {
			candidates = append(candidates, filepath.Join(dir, application))
		}
	} else if !filepath.IsAbs(application) {
		return &fieldError{"Application", fmt.Sprintf("%q", application), "an absolute path, or a name without a folder"}
	}
	q.RequestedPath = application
	for _, path := range candidates {
		if resolve == nil {
			break
		}
		if to, err := resolve(path, nil); err == nil {
			q.FilePath = to
			return nil
		}
	}
	if filepath.IsAbs(application) { // policies may be about what is not there
		q.FilePath = filepath.Clean(application)
		return nil
	}
	return &fieldError{"Application", fmt.Sprintf("%q", application), "a program on the service's secure path"}
}

// people looks accounts up; a test has its own.
type people struct {
	byName, byID func(string) (*user.User, error)
	groups       func(*user.User) ([]string, error)
	groupName    func(id string) (*user.Group, error)
	// directory reports whether accounts come from elsewhere too.
	directory func() bool
}

// localPeople are those that this machine's own files have.
func localPeople() people {
	return people{
		byName: user.Lookup, byID: user.LookupId, groups: (*user.User).GroupIds, groupName: user.LookupGroupId,
		directory: func() bool { return namesDirectory("/etc/nsswitch.conf", "group") },
	}
}

// complete looks up who asks. No process is named in such a question, so that
// the user is in the groups that the database knows.
func (p people) complete(q *wire.PolicyRequest, name string) error {
	if q.UserName == "" {
		q.UserName = name
	}
	looked := q.UserID == "" || len(q.Groups)+len(q.GroupNames)+len(q.DoubtfulGroups) == 0
	var account *user.User
	var err error
	switch {
	case q.UserName == "" && q.UserID == "":
		return &fieldError{"User", "none", "the name of the user who asks"}
	case !looked && q.UserName != "":
		return nil
	case q.UserID != "":
		account, err = p.byID(string(q.UserID))
	default:
		account, err = p.byName(q.UserName)
	}
	switch {
	case err != nil && q.UserID != "" && q.UserName != "": // of a directory, or of another machine
		q.GroupsUnknown = true
		return nil
	case err != nil:
		return &fieldError{"User", fmt.Sprintf("%q", q.UserName+string(q.UserID)), "a user of this machine"}
	}
	if q.UserName == "" {
		q.UserName = account.Username
	}
	if q.UserID == "" {
		q.UserID = core.UserID(account.Uid)
	}
	ids, err := p.groups(account)
	q.GroupsUnknown = q.GroupsUnknown || err != nil || p.directory()
	for _, id := range ids {
		q.Groups = append(q.Groups, id)
		if g, err := p.groupName(id); err == nil && !slices.Contains(q.GroupNames, g.Name) {
			q.GroupNames = append(q.GroupNames, g.Name)
		}
	}
	return nil
}
