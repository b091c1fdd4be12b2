// Command page serves a page on another origin than the server: http://localhost:5173. docs/guides/examples/README.md explains it.
package main

import (
	"embed"
	"log"
	"net/http"
	"time"
)

//go:embed *.html *.js
var files embed.FS

// policy allows the kit of the server, and calls of its API.
const policy = "default-src 'none'; script-src 'self' http://localhost:8080; connect-src http://localhost:8080; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

func main() {
	static := http.FileServerFS(files)
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		static.ServeHTTP(w, r)
	}
	server := &http.Server{Addr: "localhost:5173", Handler: http.HandlerFunc(handler), ReadHeaderTimeout: 5 * time.Second}
	log.Print("open http://", server.Addr)
	log.Fatal(server.ListenAndServe())
}
