package api

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// HTTP limits that nobody needs to change.
const (
	maxBody       = 1 << 20
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second // a launch may take its 10 s, a control its answer
	idleTimeout   = 60 * time.Second
)

func (s *Server) newHTTP(handler http.HandlerFunc) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // one protocol, one parser
	return &http.Server{
		Handler:                      handler,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ConnContext:                  withConn,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// serve runs server on ln until Close.
func (s *Server) serve(server *http.Server, ln net.Listener) {
	s.serving.Go(func() {
		if err := server.Serve(rawListener{ln, s.cfg.Log}); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.cfg.Log.Error("listener ended", "address", ln.Addr(), "error", err)
		}
	})
}
