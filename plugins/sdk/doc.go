// Package sdk is what the author of a plugin or of a job task imports: the way
// to the agent's bus, its log and its settings.
//
//	func main() { os.Exit(sdk.Main(sdk.Config{ID: "MyBridge"}, run)) }
//
//	func run(ctx context.Context, a *sdk.Agent) error {
//		err := a.Subscribe(ctx, "MyBridge", func(m sdk.Message) {
//			a.Logger().Info("command received", "topic", m.Topic)
//		})
//		if err != nil {
//			return err
//		}
//		<-ctx.Done() // SIGTERM, or the agent is gone
//		return nil
//	}
//
// The topics must be declared in the plugin's or job's own file; a publish to
// another one is refused by the broker without a word (docs/wire.md).
//
// It speaks MQTT 3.1.1 with the packets of paho.mqtt.golang and a client of its
// own. Paho's client passes each message through five goroutines and links
// net/http for its websockets; a plugin on the way of every elevation pays for
// both, and so does the memory of every machine. Everything is QoS 0: what is
// published on a local stream arrives while the connection lives, and with a
// clean session no QoS promises more.
//
// It is no place for business: it knows neither policies nor jobs.
package sdk
