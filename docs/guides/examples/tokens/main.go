// Command tokens serves a page on another site than the server, http://127.0.0.1:5173, and what the page calls with a token.
// docs/guides/examples/README.md explains it.
package main

import (
	"context"
	"embed"
	"encoding/json"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

//go:embed *.html *.js
var files embed.FS

// policy allows the kit of the server, and calls of its API.
const policy = "default-src 'none'; script-src 'self' http://localhost:8080; connect-src 'self' http://localhost:8080; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

func main() {
	keys, err := newKeys(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	static := http.FileServerFS(files)
	routes := http.NewServeMux()
	routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		static.ServeHTTP(w, r)
	})
	routes.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) { serveOrders(w, r, keys) })
	server := &http.Server{Addr: "127.0.0.1:5173", Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	log.Print("open http://", server.Addr)
	log.Fatal(server.ListenAndServe())
}

// serveOrders answers the user of the access token, and 401 without a valid one (RFC 6750, section 3).
func serveOrders(w http.ResponseWriter, r *http.Request, keys jwk.Set) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	user, err := userOf(token, keys)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "this access token is not valid here", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]any{"user": user, "orders": []string{}}); err != nil {
		log.Print(err)
	}
}
