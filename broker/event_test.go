package broker

import (
	"bytes"
	"encoding/json"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// Events of scripts come without an envelope, or without their Source (decision
// 24a); who hears them is spared that.
func TestEventsComeInOneEnvelope(t *testing.T) {
	const flat = `{"Context":{"N":12345678901234567890},"EventName":"Custom"}`
	for _, tc := range []struct {
		name, payload string
		want          string // the payload of what is delivered; empty if it is refused
	}{
		{"flat", flat, flat},
		{"flat, in other letters", `{"eventname":"Custom","CONTEXT":{"A":1}}`, `{"Context":{"A":1},"EventName":"Custom"}`},
		{"flat, with a payload", `{"EventName":"Custom","Payload":{"A":1}}`, `{"Context":{"A":1},"EventName":"Custom"}`},
		{"flat, with a payload and a context", `{"EventName":"Custom","payload":{"B":1},"Context":{"A":1}}`, `{"Context":{"A":1},"EventName":"Custom"}`},
		{"flat, without a context", `{"EventName":"Custom"}`, `{"EventName":"Custom"}`},
		{"flat, with a Source that is true", `{"Source":"MyBridge","EventName":"Custom"}`, `{"EventName":"Custom"}`},
		{"without a Source", `{"MessageType":"CustomEvent","Payload":` + flat + `}`, flat},
		{"whole", `{"MessageId":"1","MessageType":"CustomEvent","Source":"MyBridge","Payload":` + flat + `}`, flat},
		// Attack: being flat widens nothing.
		{"flat, in the service's name", `{"Source":"KeeperPrivilegeManager","EventName":"Custom"}`, ""},
		{"flat, an event of the service's", `{"EventName":"LaunchPrivilegeElevation","Context":{"RequestId":"ALLOWED"}}`, ""},
		{"flat, with a payload, an event of the service's", `{"EventName":"LaunchPrivilegeElevation","Payload":{"RequestId":"ALLOWED"}}`, ""},
		{"a payload that says who it is", `{"Payload":{"EventName":"Custom"}}`, ""},
		{"flat, with a payload that is none", `{"EventName":"Custom","Payload":[1]}`, ""},
		{"flat, with two names", `{"EventName":"Custom","eventname":"LaunchPrivilegeElevation"}`, ""},
		{"without a Source, with two names", `{"MessageType":"CustomEvent","Payload":{"EventName":"Custom","eventname":"Startup"}}`, ""},
		{"flat beside an envelope", `{"MessageType":"CustomEvent","EventName":"Custom"}`, ""},
		{"another type without a Source", `{"MessageType":"PolicyRequest","Payload":{}}`, ""},
		{"a context that is none", `{"EventName":"Custom","Context":[1]}`, ""},
		{"no name", `{"Context":{}}`, ""},
		{"no JSON", `hello`, ""},
		{"text", `"hello"`, ""},
		{"null", `null`, ""},
		{"nothing", ``, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			b.withRequests()
			sub := b.admitted(bridge, 4)
			sub.subscribe(wire.TopicEvents, 0)
			if err := b.PublishAs(t.Context(), bridge.Principal, wire.TopicEvents, []byte(tc.payload)); (err == nil) != (tc.want != "") {
				t.Errorf("got %v", err)
			}
			sub.publish(wire.TopicEvents, 0, 0, []byte(tc.payload))
			sub.publish(wire.TopicEvents, 0, 0, message(t, wire.TypeEvent, bridge.Principal, wire.Event{Name: "Last"}))
			for _, want := range []string{tc.want, tc.want, `{"EventName":"Last"}`} {
				if want == "" {
					continue
				}
				payload := bytes.TrimPrefix(sub.expect("the event", 0x30), text(wire.TopicEvents))
				var got wire.RequestMessage
				if err := json.Unmarshal(payload, &got); err != nil || got.Type != wire.TypeEvent || got.Source != "MyBridge" || string(got.Payload) != want {
					t.Errorf("delivered %s, %v\nwant %s", payload, err, want)
				}
			}
		})
	}
}

// So do the wish for a run and a question, as scripts write them: what is missing is
// who says it, which the broker knows.
func TestRunsAndQuestionsComeInOneEnvelope(t *testing.T) {
	const reply = `"RespondToTopic":"Replies/MyBridge/1"`
	for _, tc := range []struct {
		name, topic, payload string
		want                 string // the payload of what goes on; empty if it is refused
	}{
		{"a run without a Source", "JobService", `{"MessageType":"TriggerJob","Payload":{"JobId":"cleanup"}}`, `{"JobId":"cleanup"}`},
		{"a run, flat", "JobService", `{"jobid":"cleanup","Context":{"Days":30},"Extra":1}`, `{"Context":{"Days":30},"JobId":"cleanup"}`},
		{"a run, flat, with a payload", "JobService", `{"JobId":"cleanup","Payload":{"Days":30}}`, `{"Context":{"Days":30},"JobId":"cleanup"}`},
		{"a run in the service's name", "JobService", `{"Source":"KeeperPrivilegeManager","MessageType":"TriggerJob","Payload":{"JobId":"cleanup"}}`, ""},
		{"flat in the service's name", "JobService", `{"Source":"KeeperPrivilegeManager","JobId":"cleanup"}`, ""},
		{"a run of two jobs", "JobService", `{"JobId":"cleanup","jobid":"other"}`, ""},
		{"a run of none", "JobService", `{"Context":{}}`, ""},
		{"an end without a Source", "JobService", `{"MessageType":"JobCompleted","Payload":{"JobId":"cleanup"}}`, ""},
		{"a question without a Source", "KeeperPolicy", `{"MessageType":"PolicyRequest",` + reply + `,"Payload":{"EventType":"PrivilegeElevation","User":"alice"}}`, `{"EventType":"PrivilegeElevation","User":"alice"}`},
		{"a question without a MessageId", "KeeperPolicy", `{"MessageType":"PolicyRequest","Source":"MyBridge",` + reply + `,"Payload":{"EventType":"PrivilegeElevation"}}`, `{"EventType":"PrivilegeElevation"}`},
		{"a question, flat", "KeeperPolicy", `{` + reply + `,"EventType":"PrivilegeElevation","User":"alice"}`, `{"EventType":"PrivilegeElevation","RespondToTopic":"Replies/MyBridge/1","User":"alice"}`},
		// Whoever answers names the field that is wrong.
		{"a question of a number", "KeeperPolicy", `{"MessageType":"PolicyRequest",` + reply + `,"Payload":{"EventType":1,"User":"alice"}}`, `{"EventType":1,"User":"alice"}`},
		{"a question that is text", "KeeperPolicy", `{"MessageType":"PolicyRequest",` + reply + `,"Payload":"may alice?"}`, `"may alice?"`},
		{"a question of no type, flat", "KeeperPolicy", `{` + reply + `,"User":"alice"}`, `{"RespondToTopic":"Replies/MyBridge/1","User":"alice"}`},
		{"a question of a number, flat", "KeeperPolicy", `{` + reply + `,"EventType":1}`, `{"EventType":1,"RespondToTopic":"Replies/MyBridge/1"}`},
		// Attack: a value of a wrong type hides which request a question is about.
		{"a question about a request that is a number", "KeeperPolicy", `{"MessageType":"PolicyRequest",` + reply + `,"Payload":{"EventType":1,"requestid":7}}`, ""},
		{"a question about a request, of a number", "KeeperPolicy", `{"MessageType":"PolicyRequest",` + reply + `,"Payload":{"EventType":1,"RequestId":"EVALUATING"}}`, ""},
		{"a seal beside a number", "KeeperPolicy", `{"MessageType":"PolicyRequest",` + reply + `,"Payload":{"EventType":1,"SealDigest":""}}`, ""},
		// Attack: being flat makes no request of it.
		{"a question about a request", "KeeperPolicy", `{` + reply + `,"EventType":"PrivilegeElevation","RequestId":"EVALUATING"}`, ""},
		{"with another's reply topic", "KeeperPolicy", `{"RespondToTopic":"Replies/KeeperPrivilegeManager/1","EventType":"PrivilegeElevation"}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			b.withRequests()
			if err := b.PublishAs(t.Context(), bridge.Principal, tc.topic, []byte(tc.payload)); (err == nil) != (tc.want != "") {
				t.Errorf("got %v", err)
			}
			if tc.want == "" {
				return
			}
			var got wire.RequestMessage
			if err := json.Unmarshal(enveloped(bridge.Principal, tc.topic, []byte(tc.payload)), &got); err != nil || got.Source != "MyBridge" || got.MessageID == "" || string(got.Payload) != tc.want {
				t.Errorf("goes on as %+v, %v\nwant %s", got, err, tc.want)
			}
		})
	}
}

// What is said for the log goes through Logged, and nothing else does.
func TestWhatIsSaidForTheLogNamesItsPublisher(t *testing.T) {
	b := &Broker{cfg: Config{Logged: func(publisher string, payload []byte) []byte { return []byte(publisher + ": " + string(payload)) }}}
	bridge := core.Principal{Kind: core.Plugin, Name: "MyBridge"}
	for topic, want := range map[string]string{"KeeperLogger": "MyBridge: m", "MyBridge": "m", "EventMessages": "m"} {
		if got := string(b.logged(bridge, topic, []byte("m"))); got != want {
			t.Errorf("%s: %q, expected %q", topic, got, want)
		}
	}
}

// That holds for what a connection publishes, whatever it says about itself.
func TestAConnectionIsNamedInTheLog(t *testing.T) {
	b := newBus(t, func(cfg *Config) {
		cfg.Logged = func(publisher string, payload []byte) []byte { return []byte(publisher + ": " + string(payload)) }
	})
	sub, pub := b.admitted(logger, 4), b.admitted(bridge, 5)
	sub.subscribe("KeeperLogger", 1)
	pub.sends("KeeperLogger", 1, 1, "bare")
	sub.expectDeliveries("KeeperLogger", "MyBridge: bare")
}
