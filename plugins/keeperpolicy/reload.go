package keeperpolicy

import (
	"context"
	"os"

	"kpm/core/wire"
)

// serveReloads calls changed when somebody asks or tells, until ctx is done. It gets all
// that was asked before it is called.
func serveReloads(ctx context.Context, told <-chan os.Signal, asked <-chan wire.RequestMessage, changed func([]wire.RequestMessage)) {
	for {
		select {
		case <-ctx.Done():
			return
		case question := <-asked:
			changed(append(waiting(asked), question))
		case <-told:
			changed(nil)
		}
	}
}

// waiting takes what has been asked meanwhile.
func waiting(asked <-chan wire.RequestMessage) (list []wire.RequestMessage) {
	for {
		select {
		case question := <-asked:
			list = append(list, question)
		default:
			return list
		}
	}
}
