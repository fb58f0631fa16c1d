package keeperpolicy

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/policy"
	"kpm/core/wire"
)

// Reading says which policy files an author asks about.
type Reading struct {
	// Root is the agent root, for {approot} and the like; empty is the default.
	Root string
	// Collections is a collections file that the policies refer to; empty is
	// none but those that lie beside the policies.
	Collections string
	// Paths are files, and folders of which every .json file is read.
	Paths []string
	// EnforceForAdministrators is the setting of that name.
	EnforceForAdministrators bool
}

// Candidate is a set of policies that need not be in force, read from files as the
// plugin would read them, for those who write them.
type Candidate struct {
	linter   *linter
	env      policy.Environment
	force    *inForce
	findings []policy.Finding
	resolve  resolver
	around   *surroundings
}

// ReadCandidate reads files. What is wrong with them is in Findings.
func ReadCandidate(in Reading, tools Tools) *Candidate {
	in.Root = cmp.Or(in.Root, platform().DefaultRoot())
	l := &linter{reading: newReading(""), at: in.Root, tools: tools, sources: map[string][]byte{}}
	if in.Collections != "" {
		l.collections(in.Collections)
	}
	for _, path := range in.Paths {
		l.argument(path)
	}
	c := &Candidate{linter: l, resolve: tools.Resolve, around: newSurroundings()}
	c.env = machine(in.Root, l.reading.collections, in.EnforceForAdministrators)
	c.env.Resolve = resolveFrom(tools.Resolve)
	set, findings := l.engine.Compile(l.reading.policies, c.env)
	c.findings = append(slices.Clone(l.findings), findings...)
	c.force = &inForce{set: set, groups: set.GroupNames(), links: newLinked(set.Paths(), tools.Resolve)}
	return c
}

// Policies returns the policies in the order of their files.
func (c *Candidate) Policies() []policy.Policy { return c.linter.reading.policies }

// Findings returns what the service would say of the files.
func (c *Candidate) Findings() []policy.Finding { return c.findings }

// Review returns Findings, and what this machine knows about the policies at a
// time.
func (c *Candidate) Review(at time.Time) []policy.Finding {
	return append(slices.Clone(c.findings), c.linter.engine.Review(c.Policies(), c.env, facts(c.resolve, c.around.zone.of(at)))...)
}

// Excerpt returns the line that a finding is about, with a mark under the place.
func (c *Candidate) Excerpt(f policy.Finding) string { return f.Excerpt(c.linter.sources[f.File]) }

// Ask is what somebody would be asked about if they typed argv: user and target
// are names or "#" and an id. The user is in the groups that the user database of
// this machine knows, as after a fresh login.
func (c *Candidate) Ask(user, target, dir string, argv []string) (wire.PolicyRequest, error) {
	if len(argv) == 0 {
		return wire.PolicyRequest{}, &fieldError{"CMD", "none", "a command"}
	}
	q := wire.PolicyRequest{EventType: wire.EventPrivilegeElevation, Arguments: slices.Clone(argv), WorkingDirectory: dir}
	setAccount(&q.UserName, &q.UserID, user)
	setAccount(&q.TargetUser, &q.TargetUserID, target)
	name := argv[0]
	if dir != "" && !platform().IsBareName(name) && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	q, err := complete(q, short{Application: name}, localPeople(), c.resolve)
	if err != nil {
		return q, err
	}
	q.Arguments[0] = filepath.Base(name)
	// Root is subject to policy only if the setting says so, as in the service.
	q.Administrator = platform() != core.Windows && q.UserID == "0"
	return q, completeTarget(&q, localPeople())
}

func setAccount(name *string, id *core.UserID, text string) {
	if len(text) > 1 && text[0] == '#' {
		*id = core.UserID(text[1:])
		return
	}
	*name = text
}

// completeTarget looks up whom a command would run as; nobody named is the
// administrator.
func completeTarget(q *wire.PolicyRequest, people people) error {
	if q.TargetUser == "" && q.TargetUserID == "" {
		q.TargetUser, q.TargetUserID, q.TargetIsAdministrator = "root", "0", true
		return nil
	}
	account, err := people.byName(q.TargetUser)
	if q.TargetUser == "" {
		account, err = people.byID(string(q.TargetUserID))
	}
	if err != nil {
		return &fieldError{"target", fmt.Sprintf("%q", q.TargetUser+string(q.TargetUserID)), "a user of this machine"}
	}
	q.TargetUser, q.TargetUserID = account.Username, core.UserID(account.Uid)
	q.TargetIsAdministrator = q.TargetUserID == "0"
	return nil
}

// Explain decides a question as the plugin would at that time, and says why.
func (c *Candidate) Explain(q wire.PolicyRequest, at time.Time) (policy.Explanation, error) {
	if err := understood(q); err != nil {
		return policy.Explanation{}, err
	}
	e := engine{around: c.around, now: func() time.Time { return at }}
	asked, ok := e.question(q, c.force)
	if !ok {
		return policy.Explanation{}, &fieldError{"Arguments", "bytes that are none of them", "argv"}
	}
	return c.force.set.Explain(asked, c.Policies()), nil
}
