package service

import (
	"kpm/core"
	"kpm/core/fair"
)

// people says to everything that is bounded whose share a user uses up, and
// that root, as which plugins run, comes first.
func (s *service) people() fair.People {
	facts := s.host.Facts
	return fair.People{Foremost: func(who core.UserID) bool { return who == facts.Administrator || who == facts.ServiceAccount }}
}
