package sudo

import (
	"os"

	"kpm/core/door"
	"kpm/core/port/caller"
)

// list shows what the caller, or somebody else, may run, in the service's own words.
func list(opts *options, host caller.Host) (int, *failure) {
	root := agentRoot(opts.root, host.DefaultRoot, host.Administrator, os.Getenv)
	if err := connect(host, root); err != nil {
		return 0, err
	}
	question := door.List{JSON: opts.json, User: opts.other}
	_ = host.Service.Send(door.Append(nil, door.TypeList, question.Encode())) // as with requests
	kind, body, err := door.Read(host.Service)
	if err != nil {
		return 0, &failure{exitRefused, "the service has closed the connection"}
	}
	switch kind {
	case door.TypeListing:
		listing, err := door.DecodeListing(body)
		if err != nil {
			return 0, garbled
		}
		say(host.Stdout, printable(listing.Text))
		return 0, nil
	case door.TypeRefused:
		refused, err := door.DecodeRefused(body)
		if err != nil {
			return 0, garbled
		}
		return 0, &failure{statusOf(refused.Code), refused.Message}
	}
	return 0, garbled
}
