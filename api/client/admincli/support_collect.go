package admincli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"kpm/api/client"
	"kpm/core"
	"kpm/core/policy"
	"kpm/core/view"
	"kpm/launcher/journal"
	"kpm/settings"
	"kpm/trust/identity"
)

// collect returns the files of a bundle, and what could not be had, with the reason.
// Each file has the fields that are named here and no others: whatever a room adds
// to what it shows does not get into a bundle by itself.
func (e *endpoint) collect(ctx context.Context, now time.Time) ([]bundleFile, map[string]string, error) {
	layout, err := e.layout()
	if err != nil {
		return nil, nil, err
	}
	files, missing := []bundleFile{{"README.txt", []byte(bundleNote)}}, map[string]string{}
	for _, part := range []struct {
		name string
		get  func(context.Context, settings.Layout) (any, error)
	}{
		{"about.json", func(context.Context, settings.Layout) (any, error) {
			return aboutAgent{e.Version, now.UTC(), runtime.GOOS, runtime.GOARCH, layout.Root() == e.Host("").Facts.Platform.DefaultRoot()}, nil
		}},
		{"service.json", e.bundleService},
		{"status.json", e.bundleStatus},
		{"plugins.json", e.bundlePlugins},
		{"jobs.json", e.bundleJobs},
		{"settings.json", e.bundleSettings},
		{"policies.json", e.bundlePolicies},
		{"journal.json", e.bundleJournal},
		{"identity.json", e.bundleIdentity},
		{"metrics.txt", e.bundleMetrics},
	} {
		value, err := part.get(ctx, layout)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case errors.Is(err, client.ErrNotRunning):
			missing[part.name] = "the service does not answer"
			continue
		case err != nil && denied(err):
			return nil, nil, err
		case err != nil:
			missing[part.name] = err.Error()
			continue
		}
		text, is := value.([]byte)
		if !is {
			if text, err = json.MarshalIndent(value, "", "  "); err != nil {
				return nil, nil, err
			}
			text = append(text, '\n')
		}
		files = append(files, bundleFile{part.name, text})
	}
	return files, missing, nil
}

type aboutAgent struct {
	Version     string    `json:"version"`
	MadeAt      time.Time `json:"madeAt"`
	OS          string    `json:"os"`
	Arch        string    `json:"arch"`
	DefaultRoot bool      `json:"inDefaultRoot"`
}

func (e *endpoint) bundleService(ctx context.Context, _ settings.Layout) (any, error) {
	found, err := e.Host("").Control.Status(ctx)
	found.Detail = "" // a service's own words may name anything
	return controlled(found), err
}

func (e *endpoint) bundleStatus(ctx context.Context, _ settings.Layout) (any, error) {
	var counts view.SystemStatus
	if err := e.get(ctx, "/api/system/status", &counts); err != nil {
		return nil, err
	}
	var o view.Overview
	if err := e.get(ctx, "/api/system/overview", &o); err != nil {
		return nil, err
	}
	o.Journal.Fault = ""
	said := struct {
		Healthy        bool              `json:"healthy"`
		Problems       int               `json:"problems"`
		Version        string            `json:"version"`
		UptimeSeconds  float64           `json:"uptimeSeconds"`
		HTTP           int               `json:"httpPort"`
		HTTPS          int               `json:"httpsPort"`
		MQTT           int               `json:"mqttPort"`
		Open           int               `json:"openRequests"`
		CertificateEnd time.Time         `json:"certificateNotAfter,omitzero"`
		Journal        view.JournalState `json:"journal"`
	}{
		Healthy: counts.Healthy, Problems: len(counts.Problems), Version: o.Version, UptimeSeconds: o.UptimeSeconds,
		HTTP: o.HTTP, HTTPS: o.HTTPS, MQTT: o.MQTT, Open: o.Open, Journal: o.Journal,
	}
	if o.Certificate != nil {
		said.CertificateEnd = o.Certificate.NotAfter
	}
	return said, nil
}

func (e *endpoint) bundlePlugins(ctx context.Context, _ settings.Layout) (any, error) {
	var m view.Monitoring
	if err := e.get(ctx, "/api/plugins/monitoring", &m); err != nil {
		return nil, err
	}
	type plugin struct {
		ID            string           `json:"id"`
		Status        view.PluginState `json:"status"`
		Monitored     bool             `json:"monitored"`
		Restarts      int              `json:"restarts"`
		UptimeSeconds float64          `json:"uptimeSeconds"`
		Sessions      int              `json:"sessions"`
	}
	list := []plugin{}
	for _, p := range m.Plugins {
		list = append(list, plugin{p.ID, p.Status, p.Monitored, p.Restarts, p.UptimeSeconds, len(p.Instances)})
	}
	return list, nil
}

func (e *endpoint) bundleJobs(ctx context.Context, _ settings.Layout) (any, error) {
	var jobs []view.Job
	if err := e.get(ctx, "/api/Jobs", &jobs); err != nil {
		return nil, err
	}
	type job struct {
		ID      string `json:"id"`
		Enabled bool   `json:"enabled"`
		Remark  bool   `json:"remark"` // the service has something to say about its file
	}
	list := []job{}
	for _, j := range jobs {
		list = append(list, job{j.ID, j.Enabled, j.Detail != ""})
	}
	return list, nil
}

// bundleSettings says which settings are given. Text may be a path, an expression
// that names somebody, or whatever a later setting holds: it is not shown.
func (e *endpoint) bundleSettings(context.Context, settings.Layout) (any, error) {
	app, err := e.app()
	if err != nil {
		return nil, errors.New("appsettings.json cannot be used: KeeperAdminCLI config check")
	}
	type said struct {
		Key   string          `json:"key"`
		Given bool            `json:"given"`
		Value json.RawMessage `json:"value,omitempty"`
	}
	list := []said{}
	for _, s := range app.Said() {
		one := said{Key: s.Key, Given: s.Given}
		var plain any
		if json.Unmarshal(s.Value, &plain) == nil {
			switch plain.(type) {
			case bool, float64:
				one.Value = s.Value
			}
		}
		list = append(list, one)
	}
	return list, nil
}

func (e *endpoint) bundlePolicies(_ context.Context, layout settings.Layout) (any, error) {
	set := e.Policies(PolicyFiles{Root: layout.Root(), Paths: []string{layout.Policies()}})
	count := struct {
		*policyCount
		ByType     map[string]int          `json:"byType"`
		ByControl  map[core.Control]int    `json:"byControl"`
		BySeverity map[policy.Severity]int `json:"findingsBySeverity"`
	}{countPolicies(set), map[string]int{}, map[core.Control]int{}, map[policy.Severity]int{}}
	for _, p := range set.Policies() {
		kind := p.Type
		if kind == "" {
			kind = "unknown"
		}
		count.ByType[kind]++
		for _, c := range p.Controls {
			count.ByControl[c]++
		}
	}
	for _, f := range set.Review(time.Now()) {
		count.BySeverity[f.Severity]++
	}
	return count, nil
}

func (e *endpoint) bundleJournal(ctx context.Context, layout settings.Layout) (any, error) {
	report, err := journal.Verify(ctx, layout.Audit(), layout.State(), journal.Demand{Now: time.Now()})
	if err != nil {
		return nil, err
	}
	kept := struct {
		First    uint64                  `json:"first"`
		Last     uint64                  `json:"last"`
		Records  int                     `json:"records"`
		Segments int                     `json:"segments"`
		Since    time.Time               `json:"since,omitzero"`
		Noted    int                     `json:"faultsNoted"`
		Fault    string                  `json:"faultIn,omitempty"`
		Line     int                     `json:"faultLine,omitempty"`
		Types    map[journal.Type]uint64 `json:"recordsByType"`
	}{
		First: report.First, Last: report.Last, Records: report.Records, Segments: report.Segments, Since: report.Since, Noted: len(report.Noted),
		Types: map[journal.Type]uint64{},
	}
	if f := report.Fault; f != nil {
		kept.Fault, kept.Line = filepath.Base(f.File), f.Line
	}
	err = journal.Tail(ctx, layout.Audit(), 1<<20, false, func(_ []byte, r journal.Record) error {
		kept.Types[r.Type]++
		return nil
	})
	if err != nil {
		kept.Types = nil // the fault says where
	}
	return kept, ctx.Err()
}

func (e *endpoint) bundleIdentity(ctx context.Context, _ settings.Layout) (any, error) {
	key, err := e.machineKey()
	if err != nil {
		return nil, errors.New("appsettings.json cannot be used: KeeperAdminCLI config check")
	}
	s, err := identity.Inspect(ctx, key.Config)
	if err != nil {
		return nil, err
	}
	said := struct {
		State     string         `json:"state"`
		Assurance core.Assurance `json:"assurance,omitempty"`
		Made      time.Time      `json:"made,omitzero"`
		Issued    bool           `json:"certificateIssued"`
		DaysLeft  int            `json:"certificateDaysLeft"`
		Retired   int            `json:"retiredKeys"`
		Problems  int            `json:"problems"`
	}{State: s.State, Assurance: s.Assurance, Made: s.Made, Retired: len(s.Retired), Problems: len(s.Problems)}
	if s.Certificate != nil {
		said.Issued, said.DaysLeft = s.Certificate.Issued, s.Certificate.DaysLeft
	}
	return said, nil
}

// bundleMetrics is the page as it is served: no label of it names anybody.
func (e *endpoint) bundleMetrics(ctx context.Context, _ settings.Layout) (any, error) {
	c, err := e.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Text(ctx, http.MethodGet, "/metrics")
}
