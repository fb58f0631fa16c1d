package service

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"kpm/api"
	"kpm/core/metrics"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/plugins"
	"kpm/plugins/doctor"
	"kpm/settings"
)

// surgery is what the service knows about its plugins' troubles, for the API.
type surgery struct{ *service }

var _ api.Doctor = surgery{}

// Check implements api.Doctor.
func (s surgery) Check(ctx context.Context, id string) ([]view.Check, error) {
	i, ok := s.plugins.Inspect(id)
	if !ok {
		return nil, plugins.ErrUnknown
	}
	return doctor.Check(s.facts(ctx, i, s.broker.Topics())), nil
}

// CheckFile implements api.Doctor.
func (s surgery) CheckFile(ctx context.Context, id string, body []byte) ([]view.Check, error) {
	doc, err := settings.ParseDocument(id+".json", body)
	if err != nil {
		return nil, err
	}
	return doctor.Check(s.facts(ctx, s.plugins.InspectFile(id, doc), view.Topics{})), nil
}

// Diagnose implements api.Doctor.
func (s surgery) Diagnose(ctx context.Context) []view.Diagnosis {
	topics := s.broker.Topics()
	known := map[string]bool{}
	var all []doctor.Facts
	for _, i := range s.plugins.InspectAll() {
		known[i.ID] = true
		all = append(all, s.facts(ctx, i, topics))
	}
	var strangers []view.Refusal
	for _, r := range topics.Refusals {
		if !known[r.Principal] {
			strangers = append(strangers, r)
		}
	}
	return append([]view.Diagnosis{}, doctor.Diagnose(all, strangers, s.refusals.list())...)
}

// Topics implements api.Doctor.
func (s surgery) Topics() view.Topics { return s.broker.Topics() }

func (s surgery) facts(ctx context.Context, i plugins.Inspection, topics view.Topics) doctor.Facts {
	f := doctor.Facts{Inspection: i, FileSettings: s.fileSettings(i)}
	for _, r := range topics.Refusals {
		if r.Principal == i.ID {
			f.Refusals = append(f.Refusals, r)
		}
	}
	f.Signature, f.Unsigned = s.signatureOf(ctx, i)
	if all, known := s.values.Explain(i.ID); known {
		f.Settings = all
	}
	f.AgentSettings, _ = s.values.Explain(settings.AgentWide)
	if logger, err := s.plugins.Health(wire.TopicLogger); err == nil {
		f.Logger = logger.Status
	}
	if i.Program != "" {
		f.Jobs = s.jobs.Programs()[i.Program]
	}
	return f
}

// fileSettings are what the plugin's file says on the disk now.
func (s surgery) fileSettings(i plugins.Inspection) map[string]string {
	doc, err := settings.ReadDocument(i.File, settings.MaxPluginFile, s.host.Files.ReadProtected)
	if err != nil {
		return nil
	}
	said := settings.NewEffective(s.layout)
	id := strings.TrimSuffix(filepath.Base(i.File), ".json")
	if said.Put(id, doc) != nil {
		return nil
	}
	all, _ := said.All(id)
	return all
}

// signatureOf says what the program's signature is good for, and what it lacks.
func (s surgery) signatureOf(ctx context.Context, i plugins.Inspection) (signature, lacks string) {
	mode := s.app.Trust.Plugins[s.host.Facts.Platform]
	switch {
	case i.Program == "":
		return "there is no program to sign", ""
	case mode == settings.TrustOff:
		return "not required here: Trust:Plugins is off for " + string(s.host.Facts.Platform), ""
	}
	f, err := os.Open(i.Program)
	if err != nil {
		return "", err.Error()
	}
	defer f.Close()
	p, err := s.verifier.Provenance(ctx, f, nil)
	if err == nil {
		err = s.admission().plugins.needs.Check(p)
	}
	if err != nil {
		return "", err.Error()
	}
	return "it has the rank " + s.app.Trust.PluginRank.String() + ", which Trust:PluginRank asks for", ""
}

// maxRefusals is how many different refusals of the API are remembered.
const maxRefusals = 64

// refusals are the latest 403s of the API, the oldest first.
type refusals struct {
	counted metrics.Counters[string] // by code

	mu   sync.Mutex
	last []view.APIRefusal
}

// note remembers one; it does not block.
func (r *refusals) note(refused view.APIRefusal) {
	r.counted.Add(refused.Code)
	refused.Path = wire.PrintableLine(refused.Path)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, known := range r.last {
		if known.Caller == refused.Caller && known.Method == refused.Method && known.Path == refused.Path && known.Code == refused.Code {
			r.last[i].Count++
			return
		}
	}
	refused.Count = 1
	if r.last = append(r.last, refused); len(r.last) > maxRefusals {
		r.last = r.last[1:]
	}
}

func (r *refusals) list() []view.APIRefusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]view.APIRefusal{}, r.last...)
}
