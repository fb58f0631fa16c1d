package keeperpolicy

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"kpm/core/idle"
	"kpm/core/policy"
	"kpm/core/reserve"
	"kpm/core/wire"
	"kpm/plugins/sdk"
)

// enforceSetting decides whether administrators are subject to policy.
const enforceSetting = "policy.enforceForAdministrators"

// spareThreads are made, once questions are answered, so that decisions go on when
// the machine takes no more processes.
const spareThreads = 8

// Run answers questions until ctx is done. It subscribes, which makes it
// healthy, only after policies have been read.
func Run(ctx context.Context, a *sdk.Agent, cfg Config) error {
	e := &engine{cfg: cfg, log: a.Logger(), now: time.Now, around: newSurroundings(), filters: newFilters(ctx, a.EvaluateJob), reloads: make(chan wire.RequestMessage, maxReloads), memory: idle.Memory(cfg.Pace)}
	defer e.memory.Close()
	defer e.filters.close()
	enforce := true // unless the settings say otherwise
	reload := func() {
		e.memory.Busy()
		enforce = settle(ctx, a, e.filters, enforce)
		e.load(enforce)
	}
	begun := cfg.Ahead
	if begun == nil {
		begun = Begin(cfg)
	}
	enforce = settle(ctx, a, e.filters, enforce)
	bytes := e.takeFirst(begun, enforce)
	replied := make(chan struct{})
	e.replied = sync.OnceFunc(func() { close(replied) })
	e.memory.Busy()
	// Direct: this is on the way of every elevation, and deciding does not
	// block.
	if err := a.SubscribeDirect(ctx, wire.TopicPolicy, func(m sdk.Message) { e.serve(a, m) }); err != nil {
		return err
	}
	var calm sync.WaitGroup
	defer calm.Wait()
	calm.Go(func() {
		select {
		case <-replied:
			becalm(cfg, bytes)
		case <-ctx.Done():
		}
	})
	serveReloads(ctx, cfg.Reload, e.reloads, func(asked []wire.RequestMessage) {
		reload()
		for _, envelope := range asked {
			q, response, _ := e.begin(envelope)
			e.reply(a, envelope, q, response)
		}
		// The service asks what is in force when it is told of a subscription, and
		// acts on what has changed: rights, files and executions.
		if err := a.Resubscribe(ctx, wire.TopicPolicy); err != nil {
			a.Logger().Warn("the service hears of the policies with its next question", "error", err)
		}
	})
	return nil
}

// becalm does what nobody is to wait for who has a question when the plugin starts.
func becalm(cfg Config, bytes int64) {
	reserve.Threads(spareThreads)
	if cfg.Sparing != nil {
		cfg.Sparing()
	}
	giveBack(bytes)
}

// takeFirst puts in force what was read ahead, and says how much that was.
func (e *engine) takeFirst(begun *Ahead, enforceForAdministrators bool) (bytes int64) {
	r := <-begun.read
	defer r.end()
	e.take(r, enforceForAdministrators)
	return r.bytes
}

// maxReloads bounds the questions that wait for the next reading of the policies. One
// more is not answered, and is asked again.
const maxReloads = 16

// settle asks for the settings, and returns whether administrators are subject to
// policy. Without an answer what was last holds.
func settle(ctx context.Context, a *sdk.Agent, f *filters, last bool) bool {
	values, err := a.Settings(ctx)
	if err != nil {
		a.Logger().Warn("settings cannot be read", "error", err, enforceSetting, last)
		return last
	}
	if err := f.set(values[filterSetting]); err != nil {
		a.Logger().Warn("a setting cannot be read", "setting", filterSetting, "found", values[filterSetting], "expected", "a whole number from 1 to 30", "taken", 30)
	}
	text, set := values[enforceSetting]
	if !set {
		return false
	}
	enforce, err := strconv.ParseBool(text)
	if err != nil {
		a.Logger().Warn("a setting cannot be read", "setting", enforceSetting, "found", text, "expected", "true or false", "taken", true)
		return true
	}
	return enforce
}

// replier is where answers go.
type replier interface {
	Reply(question wire.RequestMessage, messageType string, payload any) error
}

// serve answers first and logs afterwards.
func (e *engine) serve(to replier, m sdk.Message) {
	envelope, err := m.Decode()
	if err != nil {
		e.log.Warn("a message is no question", "error", err)
		return
	}
	q, response, open := e.begin(envelope)
	// Attack: a plugin has policies read all the time. Nobody else may be answered there.
	if q.EventType == wire.EventReload && envelope.ReplyTopic == wire.TopicProbed {
		select {
		case e.reloads <- envelope:
		default:
		}
		return
	}
	if open == nil {
		e.reply(to, envelope, q, response)
		return
	}
	e.ask(q, open, func(answers map[string]policy.FilterAnswer) {
		e.finish(q, &response, answers)
		e.reply(to, envelope, q, response)
	})
}

func (e *engine) reply(to replier, envelope wire.RequestMessage, q wire.PolicyRequest, response wire.PolicyResponse) {
	if err := to.Reply(envelope, wire.TypePolicyResponse, response); err != nil {
		e.log.Warn("an answer could not be sent", "request", string(q.RequestID), "error", err)
		return
	}
	if e.replied != nil {
		e.replied()
	}
	if ofTheService(q.EventType) || q.EventType == wire.EventList && response.Listing != nil || response.Removal != nil {
		return // the service asks now and then whether anybody answers: that is not work
	}
	e.memory.Busy()
	if strings.HasPrefix(response.Message, malformed) {
		e.log.Warn("a question could not be understood", "source", envelope.Source, "type", envelope.Type, "why", response.Message)
		return
	}
	e.record(q, response)
}
