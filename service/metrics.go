package service

import (
	"strings"

	"kpm/core/metrics"
	"kpm/core/view"
)

// Metrics implements api.Observed. docs/metrics.md has a row for each name.
func (o observed) Metrics() []byte {
	var p metrics.Page
	p.Gauges("kpm_build_info", "1, with the version as a label", "version", map[string]float64{o.version: 1})
	p.Gauge("process_start_time_seconds", "When the service started, in seconds since 1970", float64(o.started.UnixMilli())/1000)
	p.Gauge("kpm_healthy", "1 if an elevation could succeed now, and policies are kept", one(len(o.health.Obstacles())+len(o.health.Lapses()) == 0))
	programs := o.execution.State()
	p.Gauge("kpm_executions_wanted", "1 if policies in force say which programs may run, or what commands may start", one(programs.Needed))
	p.Gauge("kpm_executions_stopped", "1 if programs are stopped before they run", one(programs.Running))
	o.measureRequests(&p)
	o.measureJournal(&p)
	o.measurePlugins(&p)
	o.measureJobs(&p)
	o.measureBroker(&p)
	p.Counters("kpm_api_refusals_total", "Calls of the API that were answered with 403, by code", "code", o.refusals.counted.All())
	p.Counter("kpm_log_records_lost_total", "Warnings of the service that did not reach KeeperLogger, and are not counted there yet", o.ship.lost.Load())
	return p.Text()
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (o observed) measureRequests(p *metrics.Page) {
	seen := o.launcher.Stats()
	answers := map[metrics.Pair]uint64{}
	for a, n := range seen.Answers {
		answers[metrics.Pair{a.Outcome, a.Refusal}] = n
	}
	p.Pairs("kpm_requests_total", "Questions of people that were answered, by outcome and kind of refusal", metrics.Pair{"outcome", "refusal"}, answers)
	decisions := map[string]uint64{}
	for cause, n := range seen.Decisions {
		decisions[string(cause)] = n
	}
	p.Counters("kpm_policy_decisions_total", "What policy decided", "decision", decisions)
	p.Histograms("kpm_elevation_phase_seconds", "How long the phases of elevations took", "phase", seen.Phases)
	p.Gauge("kpm_requests_open", "Requests without an end, commands that run included", float64(seen.Open))
}

func (o observed) measureJournal(p *metrics.Page) {
	kept := o.journal.Stats()
	records := map[string]uint64{}
	for kind, n := range kept.Records {
		records[string(kind)] = n
	}
	p.Counters("kpm_journal_records_total", "Records written", "type", records)
	p.Counter("kpm_journal_bytes_total", "Bytes of them", kept.Bytes)
	p.Counter("kpm_journal_failures_total", "Records that could not be written, and syncs that failed", kept.Failures)
	p.Histograms("kpm_journal_sync_seconds", "How long it took until records were on the disk", "", map[string]metrics.Distribution{"": kept.Syncs})
	p.Gauge("kpm_journal_segments", "Segments kept", float64(kept.Segments))
	p.Gauge("kpm_journal_last_record", "The last record", float64(kept.Last))
	p.Gauge("kpm_journal_unsigned_records", "Records that no checkpoint since the start covers", float64(kept.Last-kept.Signed))
	if !kept.SignedAt.IsZero() {
		p.Gauge("kpm_journal_signed_timestamp_seconds", "When the last checkpoint was made, in seconds since 1970", float64(kept.SignedAt.Unix()))
	}
}

func (o observed) measurePlugins(p *metrics.Page) {
	states := map[string]float64{}
	for _, state := range []view.PluginState{view.Healthy, view.Unhealthy, view.Starting, view.Stopping, view.Failed, view.Stopped} {
		states[strings.ToLower(string(state))] = 0
	}
	restarts, uptime := map[string]uint64{}, map[string]float64{}
	for _, h := range o.plugins.Monitoring().Plugins {
		states[strings.ToLower(string(h.Status))]++
		restarts[h.ID], uptime[h.ID] = uint64(h.Restarts), h.UptimeSeconds
	}
	p.Gauges("kpm_plugins", "Plugins, by state", "state", states)
	p.Counters("kpm_plugin_restarts_total", "Restarts by the agent since somebody started the plugin", "plugin", restarts)
	p.Gauges("kpm_plugin_uptime_seconds", "For how long the plugin has run; 0 if it does not", "plugin", uptime)
}

func (o observed) measureJobs(p *metrics.Page) {
	seen := o.jobs.Stats()
	ended := map[string]uint64{}
	for state, n := range seen.Ended {
		ended[string(state)] = n
	}
	p.Counters("kpm_job_runs_total", "Runs of jobs that have ended, by state", "state", ended)
	p.Histograms("kpm_job_run_seconds", "How long runs took, from when they were wanted", "", map[string]metrics.Distribution{"": seen.Took})
	p.Gauge("kpm_job_runs_open", "Runs that wait or go on", float64(seen.Open))
}

func (o observed) measureBroker(p *metrics.Page) {
	seen := o.broker.Stats()
	p.Gauges("kpm_broker_connections", "Connections now; admitted are those of a known client", "state",
		map[string]float64{"open": float64(seen.Connections), "admitted": float64(seen.Clients)})
	p.Counter("kpm_broker_admitted_total", "Connections that were admitted", seen.Admitted)
	p.Counter("kpm_broker_deliveries_total", "Messages queued for a subscriber that was there", seen.Delivered)
	p.Counter("kpm_broker_kept_total", "Messages kept for a plugin that was not", seen.Kept)
	dropped := map[string]uint64{"malformed": seen.Malformed}
	for cause, n := range seen.Dropped {
		dropped[string(cause)] = n
	}
	p.Counters("kpm_broker_dropped_total", "Messages that a subscriber did not get, once for each", "cause", dropped)
	p.Counters("kpm_broker_refusals_total", "What was refused", "cause", map[string]uint64{
		"connection": seen.RefusedConnections, "publish": seen.RefusedPublishes, "subscription": seen.RefusedSubscriptions, "will": seen.RefusedWills,
	})
	p.Counters("kpm_broker_cut_total", "Connections that were cut: slow did not take its messages, protocol sent what is not MQTT", "cause",
		map[string]uint64{"slow": seen.SlowSubscribers, "protocol": seen.Faults})
	p.Counter("kpm_broker_accept_errors_total", "Connections that could not be accepted", seen.AcceptErrors)
}
