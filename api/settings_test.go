package api_test

import (
	"testing"

	"kpm/core"
)

var (
	chat   = being{peer: servicePeer(230), who: core.Principal{Kind: core.Plugin, User: "0", Name: "Chat"}}
	policy = being{peer: servicePeer(240), who: core.Principal{Kind: core.Plugin, User: "0", Name: "KeeperPolicy"}}
)

// Who sees which settings: secrets are their plugin's and administrators', and a
// user's own processes find the broker.
func TestWhoSeesWhichSettings(t *testing.T) {
	p := newPlace(t)
	p.settings["KeeperPrivilegeManager"]["system.logging.level"] = "Warning"
	for _, c := range []struct {
		who    being
		path   string
		status int
		want   string
	}{
		{chat, "/api/PluginSettings/chat", 404, ""}, // the fake has one spelling
		{chat, "/api/PluginSettings/Chat/token", 200, `"s3cret"`},
		{root, "/api/PluginSettings/Chat/token", 200, `"s3cret"`},
		{policy, "/api/PluginSettings/Chat/token", 403, ""},
		{policy, "/api/PluginSettings/Chat", 200, `{"colour":"blue"}`},
		{policy, "/api/PluginSettings/Chat?explain=true", 200, `{"colour":{"value":"blue","source":"file","file":"Chat.json"},"token":{"value":"","source":"file","file":"Chat.json","secret":true}}`},
		{user, "/api/PluginSettings/KeeperPrivilegeManager", 200, `{"broker.host":"127.0.0.1","broker.port":"8675"}`},
		{user, "/api/PluginSettings/keeperprivilegemanager/system.logging.level", 404, ""},
		{policy, "/api/PluginSettings/KeeperPrivilegeManager/system.logging.level", 200, `"Warning"`},
	} {
		p.connectAs(c.who)
		r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper"+c.path, ""))
		if r.status != c.status || c.want != "" && r.body != c.want {
			t.Errorf("%s as %s: %d %s, want %d %s", c.path, c.who.who, r.status, r.body, c.status, c.want)
		}
	}
}

// A plugin changes its own settings, and an administrator any: with a string, a
// number or a boolean.
func TestPuttingSettings(t *testing.T) {
	p := newPlace(t)
	p.allow = []string{"PUT /api/PluginSettings/Chat/x"}
	maintenance := being{bound: true, who: core.Principal{Kind: core.JobRun, Name: "maintenance", Run: "r3"}}
	for _, c := range []struct {
		who    being
		body   string
		status int
		moved  string
	}{
		{chat, `"a b"`, 200, "put Chat x=a b by Chat"},
		{chat, ` 1.50 `, 200, "put Chat x=1.50 by Chat"},
		{root, `true`, 200, "put Chat x=true by Admin-0"},
		{maintenance, `""`, 200, "put Chat x= by maintenance"},
		{policy, `"x"`, 403, ""},
		{user, `"x"`, 403, ""},
	} {
		p.moves = nil
		way := p.overSocket()
		if c.who.bound {
			way = p.overBound(c.who.who)
		} else {
			p.connectAs(c.who)
		}
		r := send(t, way, newRequest(t, "PUT", "http://keeper/api/PluginSettings/Chat/x", c.body))
		moved := ""
		if len(p.moves) > 0 {
			moved = p.moves[0]
		}
		if r.status != c.status || moved != c.moved {
			t.Errorf("%s by %s: %d %s, %q", c.body, c.who.who, r.status, r.body, moved)
		}
	}
}
