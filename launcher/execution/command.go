package execution

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// Command is an elevated command, as far as it matters for what it starts.
type Command struct {
	Request core.RequestID
	// Question is what KeeperPolicy was asked about it, and Satisfied are the controls
	// that it was allowed with.
	Question  wire.PolicyRequest
	Satisfied []core.Control
	// Rule is what it may start, as KeeperPolicy has said with its answer:
	// wire.ChildrenOwnRule, wire.ChildrenDenied, or empty.
	Rule string
	// RuleOnly is true where Question does not do to decide about the command again:
	// an earlier service has started it, or a redirect rule. Then Rule says it all.
	RuleOnly bool
	// Runs is true if it is what was sealed by now.
	Runs bool
}

// command is a Command in its launch group.
type command struct {
	Command
	// starting is true until it has become the program that was sealed.
	starting bool
}

// errNoGroup is what a command gets that has no cgroup of its own.
var errNoGroup = errors.New("commands have no control groups on this machine, so that what they start cannot be told from what others start: it needs a writable cgroup version 2")

// Enter has what a launch group starts decided about, before its first instruction.
// The error says why it is not; the group is known all the same, until Leave.
func (s *Server) Enter(ctx context.Context, root core.ProcessID, group string, c Command) error {
	if !strings.HasPrefix(group, "cgroup:") {
		return errNoGroup
	}
	s.mu.Lock()
	s.commands[group], s.groups[root] = &command{Command: c, starting: !c.Runs}, group
	l, err := s.link, s.ready()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := l.call(ctx, order{Enter: group}); err != nil {
		return fmt.Errorf("stop what a command starts: %w", err)
	}
	return nil
}

// Started says that the command of root is the sealed program now.
func (s *Server) Started(root core.ProcessID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.commands[s.groups[root]]; c != nil {
		c.starting = false
	}
}

// Leave says that nothing of a launch group is left.
func (s *Server) Leave(root core.ProcessID) {
	s.mu.Lock()
	group, known := s.groups[root]
	delete(s.groups, root)
	delete(s.commands, group)
	l := s.link
	s.mu.Unlock()
	if known && l != nil {
		l.tell(order{Leave: group})
	}
}

// command returns what is known of a launch group.
func (s *Server) command(group string) (command, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.commands[group]
	if !ok {
		return command{}, false
	}
	return *c, true
}

// child decides about what an elevated command starts.
func (s *Server) child(ctx context.Context, q question) (ruling, error) {
	c, known := s.command(q.Group)
	switch {
	case !known: // it has just ended
		return ruling{allow: true, once: true}, nil
	case c.starting && q.Hash != "" && q.Hash == c.Question.FileHash:
		return ruling{allow: true, once: true}, nil // itself
	case c.starting && q.Script:
		return ruling{allow: true, once: true}, nil // its interpreter; policy decided about the script
	}
	asked := about(q, c.Question)
	asked.Groups, asked.GroupNames, asked.DoubtfulGroups, asked.DoubtfulGroupNames = c.Question.Groups, c.Question.GroupNames, c.Question.DoubtfulGroups, c.Question.DoubtfulGroupNames
	plain := q.Script || c.RuleOnly
	if !plain {
		parent := c.Question
		parent.RequestID, parent.SealDigest = "", ""
		asked.Parent, asked.Satisfied = &parent, c.Satisfied
	}
	a, err := s.cfg.Consult(ctx, asked)
	if err != nil {
		return ruling{}, err
	}
	r := ruling{allow: a.Decision == core.Allow, answer: a, request: c.Request, cause: causeChild, user: c.Question.UserName, person: c.Question.UserID}
	if plain {
		// A DENY that meets it holds. That no policy allows it by itself does not matter
		// for what runs a script that was allowed, nor where children inherit.
		denied := a.Decision == core.Deny && len(a.Policies) > 0
		r.allow = !denied && (q.Script || c.Rule == "" || c.Rule == wire.ChildrenOwnRule && a.Decision == core.Allow)
		if !r.allow && a.Message == "" {
			r.answer.Message = "The policy that allowed its parent lets it start no such program."
		}
	}
	return r, nil
}

// about is the question about the program of q by the user of who.
func about(q question, who wire.PolicyRequest) wire.PolicyRequest {
	asked := who
	asked.RequestID, asked.SealDigest, asked.Parent = "", "", nil
	asked.FilePath, asked.RequestedPath, asked.FileHash = q.Path, q.Path, q.Hash
	if q.Elsewhere {
		// Policies that restrict the name count, and none that grants it.
		asked.FilePath = path.Clean(fmt.Sprintf("/proc/%d/root/%s", q.PID, q.Path))
	}
	// What it will be called with the kernel does not tell.
	asked.Arguments, asked.ArgumentBytes = []string{path.Base(q.Path)}, nil
	asked.Signers, asked.SignersKnown = nil, false
	return asked
}
