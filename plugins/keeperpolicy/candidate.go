package keeperpolicy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
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
	// Files are the paths that there are, each with where it leads. With them
	// nothing is looked up on this machine, and every group that a policy names
	// is one. nil means this machine.
	Files map[string]string
	// EnforceForAdministrators is the setting of that name.
	EnforceForAdministrators bool
	// Own says that they are for this machine alone, wherever they lie.
	Own bool
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
	invented bool // no file of this machine is meant
	own      bool // Reading.Own
}

// ReadCandidate reads files. What is wrong with them is in Findings.
func ReadCandidate(in Reading, tools Tools) *Candidate {
	in.Root = cmp.Or(in.Root, platform().DefaultRoot())
	if root, err := filepath.Abs(in.Root); err == nil {
		in.Root = root // {approot} is a whole path
	}
	around := newSurroundings()
	if in.Files != nil {
		tools.Resolve, around.groups.all = resolveIn(in.Files), true
	}
	l := &linter{reading: newReading(Config{}), at: in.Root, tools: tools, sources: map[string][]byte{}}
	if in.Collections != "" {
		l.collections(in.Collections)
	}
	for _, path := range in.Paths {
		l.argument(path)
	}
	c := &Candidate{linter: l, resolve: tools.Resolve, around: around, invented: in.Files != nil, own: in.Own}
	c.env = machine(in.Root, l.reading.collections, in.EnforceForAdministrators)
	c.env.MissingGroup = around.groups.isMissing
	c.env.Resolve = resolveFrom(tools.Resolve)
	set, findings := l.engine.Compile(l.written, c.env)
	c.findings = append(slices.Clone(l.findings), findings...)
	c.force = &inForce{set: set, groups: set.GroupNames(), links: newLinked(set.Paths(), tools.Resolve)}
	return c
}

// resolveIn follows paths among those of files alone.
func resolveIn(files map[string]string) resolver {
	return func(path string, visit func(at string, link, protected bool)) (string, error) {
		path = filepath.Clean(path)
		to, there := files[path]
		if !there {
			return "", fs.ErrNotExist
		}
		if visit != nil {
			visit(path, to != path, true)
		}
		return to, nil
	}
}

// Policies returns the policies in the order of their files.
func (c *Candidate) Policies() []policy.Policy { return c.linter.written }

// Review returns what the service would say of the files, and what this machine
// knows about the policies at a time.
func (c *Candidate) Review(at time.Time) []policy.Finding {
	known := facts(c.resolve, c.around.zone.of(at))
	if !c.invented {
		known.Job = jobsOf(c.linter.at)
		known.TrustsNobody = trustsNobody(c.linter.at)
		if localNames() {
			known.Own = func(file string) bool { return c.own || c.linter.ownPolicies(file) }
		}
	}
	findings := slices.Clone(c.findings)
	for _, f := range c.linter.engine.Review(c.Policies(), c.env, known) {
		if f.Severity > policy.Note { // of two about one place the graver says it all
			findings = slices.DeleteFunc(findings, func(other policy.Finding) bool {
				return other.Severity == policy.Note && other.File == f.File && other.Policy == f.Policy && other.Field == f.Field
			})
		}
		findings = append(findings, f)
	}
	return findings
}

// Excerpt returns the line that a finding is about, with a mark under the place.
func (c *Candidate) Excerpt(f policy.Finding) string { return f.Excerpt(c.linter.sources[f.File]) }

// Ask is what would be asked if somebody typed argv: caller and target
// are names or "#" and an id. The user is in the groups that the user database of
// this machine knows, as after a fresh login.
func (c *Candidate) Ask(caller, target, dir string, argv []string) (wire.PolicyRequest, error) {
	if len(argv) == 0 {
		return wire.PolicyRequest{}, &fieldError{"CMD", "none", "a command"}
	}
	q := wire.PolicyRequest{EventType: wire.EventPrivilegeElevation, Arguments: slices.Clone(argv), WorkingDirectory: dir}
	setAccount(&q.UserName, &q.UserID, caller)
	setAccount(&q.TargetUser, &q.TargetUserID, target)
	name := argv[0]
	if dir != "" && !platform().IsBareName(name) && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	asking, meant := localPeople(), localPeople()
	if c.invented {
		asking, meant = inventedPeople("1000"), inventedPeople("1001")
	}
	q, err := complete(q, short{Application: name}, asking, c.resolve)
	if err != nil {
		return q, err
	}
	q.Arguments[0] = filepath.Base(name)
	if !c.invented {
		q.FileHash = digest(q.FilePath)
	}
	// Root is subject to policy only if the setting says so, as in the service.
	q.Administrator = platform() != core.Windows && q.UserID == "0"
	return q, completeTarget(&q, meant)
}

// inventedPeople are whoever is named, with one id but for root's.
func inventedPeople(id string) people {
	find := func(name, id string) (*user.User, error) { return &user.User{Username: name, Uid: id}, nil }
	return people{
		byName: func(name string) (*user.User, error) {
			if name == "root" {
				return find(name, "0")
			}
			return find(name, id)
		},
		byID: func(id string) (*user.User, error) {
			if id == "0" {
				return find("root", id)
			}
			return find("#"+id, id)
		},
		groups:    func(*user.User) ([]string, error) { return nil, nil },
		groupName: user.LookupGroupId,
		directory: func() bool { return false },
	}
}

// digest is the SHA-256 of a file in hex; empty if it cannot be read, so that no
// filter of hashes is met.
func digest(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a pipe would wait for its writer
		return ""
	}
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
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

// Explain decides a question as the plugin would at that time, and says why. filters
// says of filter jobs whether they pass; one that is not named has not answered.
func (c *Candidate) Explain(q wire.PolicyRequest, at time.Time, filters map[string]bool) (policy.Explanation, error) {
	if err := understood(q); err != nil {
		return policy.Explanation{}, err
	}
	e := engine{around: c.around, now: func() time.Time { return at }}
	asked, ok := e.question(q, c.force)
	if !ok {
		return policy.Explanation{}, &fieldError{"Arguments", "bytes that are none of them", "argv"}
	}
	asked.FilterAnswers = map[string]policy.FilterAnswer{}
	for job, passes := range filters {
		asked.FilterAnswers[job] = policy.FilterFailed
		if passes {
			asked.FilterAnswers[job] = policy.FilterPassed
		}
	}
	return c.force.set.Explain(asked, c.Policies()), nil
}
