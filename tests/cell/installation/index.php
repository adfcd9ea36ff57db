<?php

// The front controller: prints the settings under which the site of the request's hostname would run.

declare(strict_types=1);

require __DIR__ . '/app/site.php';

header('Content-Type: application/json');
header('X-Stand-In: yes');
try {
    $cache = cache();
    $id = tenant_of($cache, explode(':', $_SERVER['HTTP_HOST'] ?? '')[0]);
    $site = settings_of($cache, $id);
    if (setting('CHEVERETO_DB_NAME') !== '' && ! is_installed(database(), $id)) {
        throw new NotServed(503, 'being provisioned');
    }
    echo json_encode(['id' => $id] + $site, JSON_FORCE_OBJECT);
} catch (NotServed $refusal) {
    http_response_code($refusal->status);
    echo json_encode(['error' => $refusal->getMessage()]);
} catch (Throwable $failure) {
    http_response_code(500);
    echo json_encode(['error' => $failure->getMessage()]);
}
