SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.answer (
    key text NOT NULL,
    body text NOT NULL,
    recorded_at double precision NOT NULL
);
CREATE TABLE public.experiment (
    key integer NOT NULL,
    name text NOT NULL,
    objectives text NOT NULL,
    settings text NOT NULL
);
CREATE TABLE public.iteration (
    session_key bigint NOT NULL,
    iteration bigint NOT NULL,
    strategy text NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    extraction text NOT NULL,
    meta text NOT NULL,
    recorded_at double precision NOT NULL,
    artefact text,
    answer text
);
CREATE TABLE public.lease (
    session_key bigint NOT NULL,
    owner text NOT NULL,
    expires double precision NOT NULL
);
CREATE TABLE public.meta (
    name text NOT NULL,
    value text NOT NULL
);
CREATE TABLE public.score (
    session_key bigint NOT NULL,
    iteration bigint NOT NULL,
    objective text NOT NULL,
    repeat bigint NOT NULL,
    status text NOT NULL,
    value double precision,
    reason text NOT NULL,
    evidence text NOT NULL
);
CREATE TABLE public.session (
    key bigint NOT NULL,
    id text NOT NULL,
    task_id text NOT NULL,
    strategy text NOT NULL,
    replicate bigint NOT NULL,
    model text NOT NULL,
    meta text NOT NULL
);
CREATE SEQUENCE public.session_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.session_key_seq OWNED BY public.session.key;
ALTER TABLE ONLY public.session ALTER COLUMN key SET DEFAULT nextval('public.session_key_seq'::regclass);
INSERT INTO public.answer VALUES ('0000000000000000000000000000000000000000000000000000000000000000', '{"text":"x = ''\u0000\u0010''","tokens":3}', 1795689960.5970871);
INSERT INTO public.experiment VALUES (1, 'golden', '[{"direction":"max","high":10.0,"low":0.0,"name":"security"},{"direction":"min","high":null,"low":0.0,"name":"latency"}]', '{"fingerprints":{},"note":"\u00fc\u0000","seed":7}');
INSERT INTO public.iteration VALUES (1, 0, 'EF', 'ok', '', 'start', '{}', 1795689960.6049013, 'x = 1
', NULL);
INSERT INTO public.iteration VALUES (1, 1, 'EF', 'ok', '', 'fence', '{"model":"model-1","prompt_tokens":12,"seconds":0.5}', 1795689960.6049013, 'x = ''0110''
', '```python
x = ''0110''
```');
INSERT INTO public.iteration VALUES (1, 2, 'SF', 'failed', 'cut off', '', '{"restarted_from":0}', 1795689960.6049013, NULL, 'I would');
INSERT INTO public.iteration VALUES (2, 4611686018427387904, 'S0F', 'ok', '', '', '{}', 1795689960.6049013, 'ψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψψ', NULL);
INSERT INTO public.meta VALUES ('application', 'trimtab');
INSERT INTO public.meta VALUES ('schema_version', '2');
INSERT INTO public.score VALUES (1, 0, 'security', 0, 'ok', 3.5, '', '[]');
INSERT INTO public.score VALUES (1, 0, 'latency', 0, 'ok', 0.1, '', '[]');
INSERT INTO public.score VALUES (1, 1, 'security', 0, 'ok', 4, '', '[["eval",-2.5,3,"calls eval"],["whole",1.0,null,""]]');
INSERT INTO public.score VALUES (1, 1, 'security', 1, 'ok', 5, '', '[]');
INSERT INTO public.score VALUES (1, 1, 'latency', 0, 'unscored', NULL, 'no clock', '[]');
INSERT INTO public.score VALUES (1, 2, 'security', 0, 'failed', NULL, 'cut off', '[]');
INSERT INTO public.score VALUES (1, 2, 'latency', 0, 'failed', NULL, 'cut off', '[]');
INSERT INTO public.score VALUES (2, 4611686018427387904, 'security', 0, 'ok', 1e-300, '', '[]');
INSERT INTO public.session VALUES (1, 'EF/a/0', 'a', 'EF', 0, 'model-1', '{"file":"a.csv"}');
INSERT INTO public.session VALUES (2, 'naïve 0 id', 'b1', 'SF', 1099511627776, '', '{}');
INSERT INTO public.session VALUES (3, 'idle', 'a', 'EF', 1, '', '{}');
SELECT pg_catalog.setval('public.session_key_seq', 3, true);
ALTER TABLE ONLY public.answer
    ADD CONSTRAINT answer_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.iteration
    ADD CONSTRAINT iteration_once PRIMARY KEY (session_key, iteration);
ALTER TABLE ONLY public.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (session_key);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.score
    ADD CONSTRAINT score_once PRIMARY KEY (session_key, iteration, objective, repeat);
ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_id_once UNIQUE (id);
ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (key);
CREATE INDEX iteration_outline ON public.iteration USING btree (session_key, iteration, strategy);
CREATE INDEX lease_owner ON public.lease USING btree (owner);
ALTER TABLE ONLY public.iteration
    ADD CONSTRAINT iteration_session_key_fkey FOREIGN KEY (session_key) REFERENCES public.session(key);
ALTER TABLE ONLY public.lease
    ADD CONSTRAINT lease_session_key_fkey FOREIGN KEY (session_key) REFERENCES public.session(key);
ALTER TABLE ONLY public.score
    ADD CONSTRAINT score_session_key_iteration_fkey FOREIGN KEY (session_key, iteration) REFERENCES public.iteration(session_key, iteration);
